/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "assay upgrade": has a running assayd give its place to the program that is installed now, and
 * says what came of it. Who answers at the end is another process than who was asked, so it is
 * asked for its status until that says how it went.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "programs/assay/commands.h"
#include "programs/assay/status_page.h"
#include "programs/common/control_msg.h"

#define NAME	   "upgrade"
#define TIMEOUT_MS 120000
#define ASK_MS	   5000
#define PAUSE_MS   50

struct options {
	const char *control;
	bool json;
};

static const struct option_row rows[] = {
	{ 'C', "control", "SOCKET", "of assayd (" CONTROL_SOCKET ")", OPTION_TEXT,
	  offsetof(struct options, control) },
	{ 'j', "json", NULL, "as JSON", OPTION_FLAG, offsetof(struct options, json) },
	{ 0 },
};

/* What status says of hand-overs. */
struct state {
	json_int_t pid, past, failed;
	bool under_way;
	char reason[256];
};

static int parse_state(const json_t *handover, struct state *ret)
{
	const char *reason = NULL;
	int under_way;

	if (json_unpack((json_t *)handover, "{s:I, s:I, s:I, s:b, s?s}", "pid", &ret->pid, "past",
			&ret->past, "failed", &ret->failed, "under_way", &under_way, "reason",
			&reason) < 0)
		return -EBADMSG;
	ret->under_way = under_way;
	snprintf(ret->reason, sizeof(ret->reason), "%s", reason ? reason : "");
	return 0;
}

static int ask(const char *path, enum control_op op, struct state *ret, struct assay_err *err)
{
	const struct control_request request = { .op = op };
	json_t *reply;
	int r = control_ask(path, &request, ASK_MS, &reply, err);

	if (r < 0)
		return r;
	r = parse_state(op == CONTROL_UPGRADE ? reply : json_object_get(reply, "handover"), ret);
	json_decref(reply);
	return r < 0 ? assay_err_set(err, r, "that assayd says nothing of hand-overs") : 0;
}

/* Nobody may answer for a moment, while the socket is another's. */
static int await_end(const char *path, const struct state *before, struct state *ret,
		     struct assay_err *err)
{
	uint64_t end = assay_clock_ms() + TIMEOUT_MS;
	int r;

	do {
		r = ask(path, CONTROL_STATUS, ret, err);
		if (r == 0 && (ret->pid != before->pid || ret->failed != before->failed))
			return 0;
		poll(NULL, 0, PAUSE_MS);
	} while (assay_clock_ms() < end);
	return r < 0 ? r : assay_err_set(err, -ETIMEDOUT, "it is still under way");
}

static int print_result(const struct options *o, const struct state *before,
			const struct state *after)
{
	bool taken = after->pid != before->pid && after->past == before->past + 1;

	if (o->json)
		printf("{\"handed_over\": %s, \"pid\": %lld, \"before\": %lld}\n",
		       taken ? "true" : "false", (long long)after->pid, (long long)before->pid);
	if (taken && !o->json)
		printf("process %lld has taken over from process %lld\n", (long long)after->pid,
		       (long long)before->pid);
	else if (!taken && after->pid == before->pid)
		fprintf(stderr, "assay upgrade: process %lld goes on: %s\n", (long long)after->pid,
			after->reason);
	else if (!taken)
		fputs("assay upgrade: assayd was started anew, and nothing was handed over\n",
		      stderr);
	return taken ? EXIT_YES : EXIT_NO;
}

static int run(int argc, char **argv)
{
	struct options o = { .control = CONTROL_SOCKET };
	int r = options_parse_all(NAME, rows, argc, argv, &o);
	struct state before, after;
	struct assay_err err;

	if (r)
		return r;
	r = ask(o.control, CONTROL_UPGRADE, &before, &err);
	if (r == 0)
		r = await_end(o.control, &before, &after, &err);
	return r < 0 ? assay_cmd_fail(NAME, NULL, &err) : print_result(&o, &before, &after);
}

const struct command cmd_upgrade = {
	.name = "upgrade",
	.synopsis = "[--control SOCKET] [--json]",
	.summary = "put the installed assayd in the place of the running one, without a gap",
	.rows = rows,
	.run = run,
};
