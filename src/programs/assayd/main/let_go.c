/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/let_go.h"

#include <stdlib.h>
#include <unistd.h>

#include "backends/source_fanotify/abandon.h"
#include "programs/assayd/process/log.h"

void let_all_go(int fd, enum let_go_why why)
{
	/* Who waits in D keeps the table of descriptors, so that the end alone closes nothing. No
	 * lock is taken that the loop may hold. */
	if (why == LET_GO_READER)
		assay_fanotify_abandon(fd);
	close(fd);
	log_line(LOG_CRIT,
		 "what %s stands still: whoever waited was let go, nothing is measured any more",
		 why == LET_GO_READER ? "reads events" : "answers openers");
	_exit(EXIT_FAILURE);
}
