/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assay policy check, show and explain: the table, and the first two. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/template.h"
#include "programs/assay/answer.h"
#include "programs/assay/cmd_policy.h"
#include "programs/assay/commands.h"
#include "programs/assay/policy_file.h"

#define CHECK "policy check"
#define SHOW  "policy show"

/* Rule by rule: a whole policy would need a buffer of its size. */
static int print_rules(const struct policy_file *p)
{
	size_t size = ASSAY_POLICY_SIZE_MAX + 64u;
	char *buf = malloc(size);

	if (!buf)
		return EXIT_TROUBLE;
	for (uint32_t i = 0; i < p->text.n_rules; i++) {
		struct assay_wr w = assay_wr(buf, size);

		assay_rule_print(&p->text.rules[i], &w);
		fwrite(buf, 1, w.len, stdout);
		putchar('\n');
	}
	free(buf);
	return fflush(stdout) == 0 ? EXIT_YES : EXIT_TROUBLE;
}

/* ---- check ---------------------------------------------------------------------------------- */

struct check_args {
	const char *file, *template;
	bool print, json;
};

static const struct option_row check_rows[] = {
	{ 0, "print", NULL, "the rules in their canonical form", OPTION_FLAG,
	  offsetof(struct check_args, print) },
	{ 0, "json", NULL, "the result for a machine", OPTION_FLAG,
	  offsetof(struct check_args, json) },
	{ 0, "template", "TEMPLATE", "the default template, whose format rules may name",
	  OPTION_TEXT, offsetof(struct check_args, template) },
	{ 0 },
};

/* As compilers do: the place stands first on the line. */
static void print_error(const char *file, const struct assay_err *err)
{
	if (err->line)
		fprintf(stderr, "%s:%u:%u: %s\n", file, err->line, err->column, err->text);
	else
		fprintf(stderr, "assay " CHECK ": %s\n", err->text);
}

static int check_json(const struct policy_file *p, const struct assay_err *err)
{
	json_t *json =
		json_pack("{s:o, s:s, s:o}", "file", answer_text(p->name), "result",
			  err ? "refused" : "holds", "warnings", policy_file_json_warnings(p));

	if (err)
		json_object_set_new(json, "error",
				    json_pack("{s:i, s:i, s:o}", "line", (int)err->line, "column",
					      (int)err->column, "text", answer_text(err->text)));
	else
		json_object_set_new(json, "rules", policy_file_json_rules(p));
	return answer_print_indented(CHECK, json);
}

static int check_file(const struct check_args *args)
{
	AUTO(policy_file) struct policy_file p = { 0 };
	struct assay_err err;
	int r = policy_file_read(&p, args->file, args->template, &err);

	policy_file_print_warnings(&p);
	if (r != 0)
		print_error(args->file, &err);
	if (args->json) {
		int status = check_json(&p, r != 0 ? &err : NULL);

		return r != 0 ? EXIT_TROUBLE : status;
	}
	if (r != 0)
		return EXIT_TROUBLE;
	if (args->print)
		return print_rules(&p);
	printf("%s: %u rule%s, %zu warning%s\n", args->file, p.text.n_rules,
	       p.text.n_rules == 1 ? "" : "s", p.n_warnings, p.n_warnings == 1 ? "" : "s");
	return EXIT_YES;
}

static int run_check(int argc, char **argv)
{
	struct check_args args = { 0 };
	struct assay_template template;
	struct assay_err err;
	int first, r = options_parse(CHECK, check_rows, argc, argv, &args, &first);

	if (r)
		return r;
	if (first + 1 != argc)
		return assay_cmd_usage(CHECK, "one FILE is needed ('-' is standard input)");
	if (args.print && args.json)
		return assay_cmd_usage(CHECK, "--print or --json, not both");
	if (args.template &&
	    assay_template_parse(assay_bytes_str(args.template), &template, &err) != 0)
		return assay_cmd_usage(CHECK, "--template: %s", err.text);
	args.file = argv[first];
	return check_file(&args);
}

/* ---- show ----------------------------------------------------------------------------------- */

static int list_builtins(bool json)
{
	json_t *array = json_array();
	const char *name;

	for (unsigned i = 0; (name = assay_policy_builtin_name(i)); i++) {
		if (json)
			json_array_append_new(array, json_string(name));
		else
			puts(name);
	}
	if (json)
		return answer_print_indented(SHOW, array);
	json_decref(array);
	return EXIT_YES;
}

static int show_builtin(const char *names, bool json)
{
	AUTO(policy_file) struct policy_file p = { 0 };
	char text[ASSAY_POLICY_BUILTIN_TEXT];
	struct assay_wr w = assay_wr(text, sizeof(text));
	struct assay_err err;
	bool unused;

	if (policy_file_builtin(&p, names, &err) != 0 ||
	    assay_policy_builtin_write(assay_bytes_str(names), &w, &unused, &err) != 0) {
		err.line = 0; /* there is no file */
		return assay_cmd_fail(SHOW, NULL, &err);
	}
	if (json)
		return answer_print_indented(SHOW, json_pack("{s:s, s:b, s:o}", "name", names,
							     "fail_securely", p.text.fail_securely,
							     "rules", policy_file_json_rules(&p)));
	fwrite(text, 1, w.len, stdout);
	return EXIT_YES;
}

struct show_args {
	bool list, json;
};

static const struct option_row show_rows[] = {
	{ 0, "list", NULL, "the names", OPTION_FLAG, offsetof(struct show_args, list) },
	{ 0, "json", NULL, "for a machine", OPTION_FLAG, offsetof(struct show_args, json) },
	{ 0 },
};

static int run_show(int argc, char **argv)
{
	struct show_args args = { 0 };
	int first, r = options_parse(SHOW, show_rows, argc, argv, &args, &first);

	if (r)
		return r;
	if (argc - first != (args.list ? 0 : 1))
		return assay_cmd_usage(SHOW, "one NAME or --list is needed");
	return args.list ? list_builtins(args.json) : show_builtin(argv[first], args.json);
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct command subcommands[] = {
	{
		.name = "check",
		.synopsis = "[--print | --json] [--template TEMPLATE] FILE",
		.summary = "say whether the kernel would take a policy, and where not",
		.rows = check_rows,
		.run = run_check,
	},
	{
		.name = "show",
		.synopsis = "[--json] NAME[|NAME]...\n[--json] --list",
		.summary = "print built-in policies, as the kernel puts them together",
		.rows = show_rows,
		.run = run_show,
	},
	{
		.name = "explain",
		.synopsis = "--func HOOK [OPTION]... [PATH]",
		.summary = "say which rule decides about an event, and why no earlier one did",
		.rows = policy_explain_rows,
		.run = cmd_policy_explain,
	},
	{ 0 },
};

const struct command cmd_policy = {
	.name = "policy",
	.summary = "check, print and explain policies",
	.sub = subcommands,
};
