/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The options of a command: one table, from which they are read and --help is printed. A row writes
 * into a field of the command's own struct, or calls a function.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define OPTIONS_MAX 24

enum option_kind {
	OPTION_FLAG, /* bool */
	OPTION_TEXT, /* const char *; the last one counts */
	OPTION_ONCE, /* the same, and twice is an error */
	OPTION_CALL,
};

struct option_row {
	char letter; /* 0: it has none */
	const char *name;
	const char *arg; /* what --help calls its argument; NULL: it has none */
	const char *help;
	enum option_kind kind;
	size_t at; /* of the field, but for CALL */
	/* 0; negative: @err has the text of a usage error; positive: an exit status, it is told. */
	int (*take)(void *options, const char *text, struct assay_err *err);
};

/*
 * Reads what comes before the operands, of which the first is argv[*ret_first]. @rows end with one
 * without name. 0, or EXIT_TROUBLE: it is told, as "assay COMMAND: --NAME: what is wrong".
 */
int options_parse(const char *command, const struct option_row *rows, int argc, char **argv,
		  void *options, int *ret_first);

/* The same of a command that has no operands. */
int options_parse_all(const char *command, const struct option_row *rows, int argc, char **argv,
		      void *options);

/* The lines of --help. */
void options_print(const struct option_row *rows);
