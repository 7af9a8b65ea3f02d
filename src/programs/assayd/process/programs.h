/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The programs of assayd's other processes, each of which links no more than its process needs
 * (decision 0049). They are opened once, when assayd starts: a child that is replaced after an
 * upgrade is of the same build as the main that it talks to. Knows nothing of what they do.
 */
#pragma once

#include <limits.h>

#include "programs/assayd/process/spawner.h"

struct programs {
	char folder[PATH_MAX];
	int fd[CHILD_ROLE_COUNT]; /* -1: there is none */
};

/* Those beside the program that runs, else those of where it is installed. Errors: as open(). */
int programs_new(struct programs **ret, struct assay_err *err);
void programs_free(struct programs *p); /* NULL allowed */

/* The file in the folder; two roles may have the same. */
const char *program_name(enum child_role role);
