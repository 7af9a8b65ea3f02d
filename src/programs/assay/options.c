/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/options.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "programs/assay/cmd.h"

static int take(const char *command, const struct option_row *row, void *options)
{
	char *field = (char *)options + row->at;
	struct assay_err err = { 0 };
	const char *text;
	bool yes = true;
	int r = 0;

	switch (row->kind) {
	case OPTION_FLAG:
		memcpy(field, &yes, sizeof(yes));
		return 0;
	case OPTION_ONCE:
		memcpy(&text, field, sizeof(text));
		if (text)
			return assay_cmd_usage(command, "--%s: it stands there twice: '%s'",
					       row->name, optarg);
		/* fall through */
	case OPTION_TEXT:
		memcpy(field, &optarg, sizeof(optarg));
		return 0;
	case OPTION_CALL:
		r = row->take(options, optarg, &err);
		break;
	}
	return r < 0 ? assay_cmd_usage(command, "--%s: %s", row->name, err.text) : r;
}

/* What getopt_long() returns for a row: its letter, or a number that is none. */
static int value_of(const struct option_row *rows, size_t i)
{
	return rows[i].letter ? rows[i].letter : (int)(UCHAR_MAX + 1 + i);
}

/* What getopt_long() wants to know, out of the table. */
static size_t translate(const struct option_row *rows, struct option longs[static OPTIONS_MAX + 1],
			char shorts[static 2 * OPTIONS_MAX + 2])
{
	size_t n = 0, len = 0;

	shorts[len++] = ':'; /* an argument that is missing is ':', not '?' */
	for (; rows[n].name && n < OPTIONS_MAX; n++) {
		longs[n] =
			(struct option){ .name = rows[n].name,
					 .has_arg = rows[n].arg ? required_argument : no_argument,
					 .val = value_of(rows, n) };
		if (!rows[n].letter)
			continue;
		shorts[len++] = rows[n].letter;
		if (rows[n].arg)
			shorts[len++] = ':';
	}
	longs[n] = (struct option){ 0 };
	shorts[len] = '\0';
	return n;
}

static const struct option_row *find(const struct option_row *rows, size_t n, int value)
{
	for (size_t i = 0; i < n; i++)
		if (value_of(rows, i) == value)
			return &rows[i];
	return NULL;
}

/* getopt_long() has returned '?': a letter that is no option is in optopt, and the number of one
 * that was given what it does not take; of a word that is none optopt is 0. */
static int refuse(const char *command, const struct option_row *rows, size_t n, const char *word)
{
	const struct option_row *row = find(rows, n, optopt);

	if (row)
		return assay_cmd_usage(command, "--%s: it takes no argument: '%s'", row->name,
				       word);
	if (optopt)
		return assay_cmd_usage(command, "unknown option '-%c'", optopt);
	return assay_cmd_usage(command, "unknown option '%s'", word);
}

int options_parse(const char *command, const struct option_row *rows, int argc, char **argv,
		  void *options, int *ret_first)
{
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 2];
	size_t n = translate(rows, longs, shorts);
	int c, r = 0;

	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct option_row *row = find(rows, n, c == ':' ? optopt : c);

		if (!row)
			r = refuse(command, rows, n, argv[optind - 1]);
		else if (c == ':')
			r = assay_cmd_usage(command, "--%s: its argument %s is missing", row->name,
					    row->arg);
		else
			r = take(command, row, options);
	}
	*ret_first = optind;
	return r;
}

int options_parse_all(const char *command, const struct option_row *rows, int argc, char **argv,
		      void *options)
{
	int first, r = options_parse(command, rows, argc, argv, options, &first);

	if (r == 0 && first != argc)
		r = assay_cmd_usage(command, "it takes no argument, not '%s'", argv[first]);
	return r;
}

void options_print(const struct option_row *rows)
{
	size_t width = 0, len;

	for (const struct option_row *r = rows; r->name; r++) {
		len = strlen(r->name) + (r->arg ? 1 + strlen(r->arg) : 0);
		width = len > width ? len : width;
	}
	for (const struct option_row *r = rows; r->name; r++) {
		len = strlen(r->name) + (r->arg ? 1 + strlen(r->arg) : 0);
		if (r->letter)
			printf("  -%c, ", r->letter);
		else
			printf("      ");
		printf("--%s%s%s%*s  %s\n", r->name, r->arg ? " " : "", r->arg ? r->arg : "",
		       (int)(width - len), "", r->help);
	}
}
