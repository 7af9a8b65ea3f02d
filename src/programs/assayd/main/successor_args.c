/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/successor_args.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "programs/assayd/main/handover.h"
#include "programs/assayd/main/handover_msg.h"
#include "programs/assayd/process/spawner.h"

#define DELETED " (deleted)"

/* What was installed there since is another file. */
static int program_path(char ret[PATH_MAX])
{
	const size_t tail = sizeof(DELETED) - 1;
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);

	if (n < 0)
		return -errno;
	ret[n] = '\0';
	if ((size_t)n > tail && strcmp(ret + (size_t)n - tail, DELETED) == 0)
		ret[(size_t)n - tail] = '\0';
	return 0;
}

/* The path, argv[0], our option, and the arguments that we were started with. */
int successor_args(struct assay_wr *w)
{
	AUTO(file) struct assay_file mine = { 0 };
	const char *at, *end, *second;
	char path[PATH_MAX];
	int r = program_path(path);

	if (r == 0)
		r = assay_file_read(AT_FDCWD, "/proc/self/cmdline", SUCCESSOR_TEXT_MAX, &mine,
				    NULL);
	if (r < 0)
		return r;
	at = (const char *)mine.bytes.data;
	end = at + mine.bytes.len;
	if (at == end || end[-1] != '\0')
		return -EBADMSG;
	second = at + strlen(at) + 1;
	assay_wr_raw(w, path, strlen(path) + 1);
	assay_wr_raw(w, at, (size_t)(second - at));
	assay_wr_raw(w, HANDOVER_OPTION, sizeof(HANDOVER_OPTION));
	if (second < end && strcmp(second, HANDOVER_OPTION) == 0)
		second += sizeof(HANDOVER_OPTION);
	assay_wr_raw(w, second, (size_t)(end - second));
	return assay_wr_ok(w) ? 0 : -E2BIG;
}
