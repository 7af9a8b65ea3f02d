/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay reload": has a running assayd read configuration and policy again, and says what came of
 * it. */
#include <stdio.h>

#include "programs/assay/answer.h"
#include "programs/assay/commands.h"
#include "programs/assay/status_page.h"
#include "programs/common/control_msg.h"

#define NAME	   "reload"
#define TIMEOUT_MS 120000 /* every known file is asked for again */

struct options {
	const char *control;
	bool json;
};

static const struct option_row rows[] = {
	{ 'C', "control", "SOCKET", "of assayd (" CONTROL_SOCKET ")", OPTION_TEXT,
	  offsetof(struct options, control) },
	{ 'j', "json", NULL, "the JSON that assayd sent", OPTION_FLAG,
	  offsetof(struct options, json) },
	{ 0 },
};

static const char *text(const json_t *reply, const char *path)
{
	const char *s = json_string_value(status_find(reply, path));

	return s ? s : "?";
}

static void print_keys(const json_t *keys, const char *what)
{
	const json_t *key;
	size_t i;

	json_array_foreach(keys, i, key)
	{
		const char *name = json_string_value(key);

		printf("'%s' %s\n", name ? name : "?", what);
	}
}

static void print_result(const json_t *reply)
{
	if (json_object_get(reply, "refused"))
		printf("refused (%s): %s\nas before, ", text(reply, "refused.what"),
		       text(reply, "refused.reason"));
	printf("policy '%s' is in force, sha256 %s\n", text(reply, "policy.name"),
	       text(reply, "policy.sha256"));
	print_keys(json_object_get(reply, "changed"), "is as the configuration says now");
	print_keys(json_object_get(reply, "needs_restart"), "needs a restart");
}

static int run(int argc, char **argv)
{
	const struct control_request request = { .op = CONTROL_RELOAD };
	struct options o = { .control = CONTROL_SOCKET };
	int r = options_parse_all(NAME, rows, argc, argv, &o), status;
	struct assay_err err;
	json_t *reply;

	if (r)
		return r;
	if (control_ask(o.control, &request, TIMEOUT_MS, &reply, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	status = json_is_true(json_object_get(reply, "in_force")) ? EXIT_YES : EXIT_NO;
	if (o.json)
		return answer_print_indented(NAME, reply) == EXIT_YES ? status : EXIT_TROUBLE;
	print_result(reply);
	json_decref(reply);
	return status;
}

const struct command cmd_reload = {
	.name = "reload",
	.synopsis = "[--control SOCKET] [--json]",
	.summary = "read configuration and policy of a running assayd again",
	.rows = rows,
	.run = run,
};
