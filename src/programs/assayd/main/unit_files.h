/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files from which systemd puts assayd's unit together: the unit file and its drop-ins. Which
 * of them are in force is for whoever reads the records: all that can have a say are given. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define UNIT_DROP_INS_MAX 256u /* in one folder */

struct unit_file {
	int fd;		  /* closed after the call */
	const char *path; /* from the root */
	bool is_drop_in;
};

/*
 * Calls @each for the unit file that systemd takes, the first in its search path, and then for each
 * drop-in of every folder of that path, by name. One that is masked leads to /dev/null and is given
 * too. @root_fd is the root of the paths. Returns 0, what @each returned below 0, -E2BIG more
 * drop-ins than the limit, or the error of a file that is there and cannot be opened.
 */
int unit_files_walk(int root_fd, int (*each)(void *ctx, const struct unit_file *file), void *ctx,
		    struct assay_err *err);
