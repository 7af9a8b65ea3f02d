/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/let_go.h"

#include <stdlib.h>
#include <unistd.h>

#include "programs/assayd/process/log.h"

void let_all_go(int fd)
{
	/* Who waits in D keeps the table of descriptors, so that the end alone closes nothing. No
	 * lock is taken, which it may hold. */
	close(fd);
	log_line(LOG_CRIT,
		 "what answers openers stands still: whoever waited was let go, nothing is "
		 "measured any more");
	_exit(EXIT_FAILURE);
}
