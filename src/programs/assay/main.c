/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the subcommand and runs it; prints help from the same table. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "programs/assay/commands.h"

/* One line per command, alphabetical; extern declarations stand in commands.h. */
static const struct command *const commands[] = {
	&cmd_audit,  &cmd_doctor, &cmd_log, &cmd_policy,  &cmd_quote,
	&cmd_reload, &cmd_status, &cmd_tpm, &cmd_upgrade, NULL,
};

static void print_own_help(const char *path, const struct command *c)
{
	const char *line = c->synopsis;

	for (const char *word = "usage:"; line; word = "      ") {
		const char *end = strchrnul(line, '\n');

		printf("%s assay %s%s%.*s\n", word, path, end == line ? "" : " ", (int)(end - line),
		       line);
		line = *end ? end + 1 : NULL;
	}
	printf("\n%s.\n", c->summary);
	if (c->rows) {
		puts("");
		options_print(c->rows);
	}
}

static void print_help(const char *path, const struct command *c)
{
	char below[128];

	if (c->run)
		print_own_help(path, c);
	else
		printf("usage: assay %s COMMAND [ARGUMENT]...\n\n%s.\n", path, c->summary);
	if (c->sub)
		puts("");
	for (const struct command *s = c->sub; s && s->name; s++) {
		snprintf(below, sizeof(below), "%s %s", path, s->name);
		printf("  assay %-22s %s\n", below, s->summary);
	}
	if (c->sub)
		printf("\nSee 'assay %s COMMAND --help' and assay-%s(1).\n", path, path);
}

static int print_commands(FILE *to)
{
	fputs("usage: assay COMMAND [ARGUMENT]...\n\n", to);
	for (size_t i = 0; commands[i]; i++)
		fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nSee 'assay COMMAND --help' and assay-COMMAND(1); 'assay --version'.\n"
	      "Exit status: 0 holds, 1 does not hold, 2 could not tell.\n",
	      to);
	return to == stdout ? EXIT_YES : EXIT_TROUBLE;
}

static int run(const char *path, const struct command *c, int argc, char **argv)
{
	char below[128];

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_help(path, c);
		return EXIT_YES;
	}
	for (const struct command *s = c->sub; s && s->name && argc > 1; s++) {
		if (strcmp(s->name, argv[1]) != 0)
			continue;
		snprintf(below, sizeof(below), "%s %s", path, s->name);
		return run(below, s, argc - 1, argv + 1);
	}
	if (c->run)
		return c->run(argc, argv);
	if (argc < 2)
		return assay_cmd_usage(path, "a subcommand is missing");
	return assay_cmd_usage(path, "there is no subcommand '%s'", argv[1]);
}

/* Messages of the operating system's errors name the file by themselves. */
static bool names_file(const char *text, const char *file)
{
	char quoted[4096 + 3];

	snprintf(quoted, sizeof(quoted), "'%s'", file);
	return strstr(text, quoted);
}

int assay_cmd_fail(const char *command, const char *file, const struct assay_err *err)
{
	if (file && !err->line && !err->has_offset && names_file(err->text, file))
		file = NULL;
	fprintf(stderr, "assay %s: ", command);
	if (file)
		fprintf(stderr, "%s:", file);
	if (err->line)
		fprintf(stderr, "%u:%u:", err->line, err->column);
	if (err->has_offset)
		fprintf(stderr, "offset %llu:", (unsigned long long)err->offset);
	fprintf(stderr, "%s%s\n", file || err->line || err->has_offset ? " " : "", err->text);
	return EXIT_TROUBLE;
}

int assay_cmd_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "assay %s: ", command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see 'assay %s --help'\n", command);
	return EXIT_TROUBLE;
}

static int dispatch(int argc, char **argv)
{
	if (argc < 2)
		return print_commands(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return print_commands(stdout);
	if (strcmp(argv[1], "--version") == 0) {
		puts("assay " ASSAY_VERSION);
		return EXIT_YES;
	}
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, argv[1]) == 0)
			return run(commands[i]->name, commands[i], argc - 1, argv + 1);
	fprintf(stderr, "assay: there is no command '%s'; see 'assay --help'\n", argv[1]);
	return EXIT_TROUBLE;
}

/* What was printed is an answer only if it got where it should: a full disk is no "holds". */
int main(int argc, char **argv)
{
	int status = dispatch(argc, argv);
	bool lost = ferror(stdout);

	errno = 0;
	if (fflush(stdout) == 0 && !lost)
		return status;
	fprintf(stderr, "assay: cannot write to the standard output: %s\n",
		errno ? strerror(errno) : "an earlier write failed");
	return EXIT_TROUBLE;
}
