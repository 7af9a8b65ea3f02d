/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many threads a process has, without a look at each. */
#pragma once

#include <stdint.h>
#include <sys/stat.h>

/* @task: a process's folder of threads in /proc. Beside the two links of every folder it has one a
 * thread. 0: it has ended. */
static inline uint64_t threads_count(int dirfd, const char *task)
{
	struct stat st;

	return fstatat(dirfd, task, &st, 0) == 0 && st.st_nlink > 2 ? st.st_nlink - 2 : 0;
}
