/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line: one row a subcommand, one file cmd_NAME.c each. Exit status everywhere:
 * 0 holds or done, 1 does not hold, 2 could not tell (bad usage, unreadable input).
 */
#pragma once

#include "base/err.h"
#include "programs/assay/options.h"

enum { EXIT_YES = 0, EXIT_NO = 1, EXIT_TROUBLE = 2 };

struct command {
	const char *name;
	const char *synopsis;		   /* what follows "assay NAME ", one form a line */
	const char *summary;		   /* one line */
	const struct option_row *rows;	   /* its options; NULL: none */
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
	/* Subcommands, ended by a NULL name; with run too, that is what no subcommand means. */
	const struct command *sub;
};

/* "assay NAME: MESSAGE" with file, line, column or offset where @err has them, on stderr.
 * Returns EXIT_TROUBLE. @file may be NULL. */
int assay_cmd_fail(const char *command, const char *file, const struct assay_err *err);

/* A usage error: the message and "see 'assay NAME --help'". Returns EXIT_TROUBLE. */
int assay_cmd_usage(const char *command, const char *fmt, ...) ASSAY_PRINTF(2, 3);
