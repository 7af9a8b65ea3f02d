/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/process/memory.h"

#include <malloc.h>
#include <sys/prctl.h>

/* Without huge pages: one is 2 MiB, of which a process like ours uses a few pages. And with one
 * heap for all threads: they allocate little, and what one has freed serves the next. */
void memory_spare(void)
{
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* what it executes inherits it */
	(void)mallopt(M_ARENA_MAX, 1);
}
