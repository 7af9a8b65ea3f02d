/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "assay upgrade": has a running assayd give its place to the program that is installed now, and
 * says what came of it. Who answers at the end is another process than who was asked, so it is
 * asked for its status until that says how it went.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "programs/assay/commands.h"
#include "programs/assay/status_page.h"
#include "programs/common/control_msg.h"

#define NAME	   "upgrade"
#define TIMEOUT_MS 120000
#define ASK_MS	   5000
#define PAUSE_MS   50
#define LEARN_MS   10	 /* until it is known who is to take over */
#define ALONE_MS   30000 /* nobody answers, and who has taken over is not known */

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
	json_int_t pid, past, failed, successor; /* 0: there is none */
	char reason[256];
};

/* Both processes, from when they are known. */
struct watch {
	int before, successor; /* pidfds; -1: not known */
	json_int_t pid;	       /* of the successor */
	uint64_t alone_ms;     /* since when the first is gone; 0: it is there */
};

static int parse_state(const json_t *handover, struct state *ret)
{
	const char *reason = NULL;

	*ret = (struct state){ 0 };
	if (json_unpack((json_t *)handover, "{s:I, s:I, s:I, s?I, s?s}", "pid", &ret->pid, "past",
			&ret->past, "failed", &ret->failed, "successor", &ret->successor, "reason",
			&reason) < 0)
		return -EBADMSG;
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

/* ---- who lives ------------------------------------------------------------------------------ */

/* -1: it has ended, or was never here. */
static int open_process(json_int_t pid)
{
	return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return pidfd < 0 || poll(&p, 1, 0) == 1;
}

static void learn(struct watch *w, const struct state *now)
{
	if (w->pid || !now->successor)
		return;
	w->pid = now->successor;
	w->successor = open_process(w->pid);
}

/* When nobody has answered: nobody will, but another that the service manager starts. */
static int judge(struct watch *w, const struct state *before, struct assay_err *err)
{
	uint64_t now = assay_clock_ms();

	if (!has_ended(w->before))
		return 0;
	w->alone_ms = w->alone_ms ? w->alone_ms : now;
	if (w->pid && has_ended(w->successor))
		return assay_err_set(err, -EPIPE,
				     "process %lld ended when it was to take over from process "
				     "%lld, which is gone too",
				     (long long)w->pid, (long long)before->pid);
	if (!w->pid && now - w->alone_ms > ALONE_MS)
		return assay_err_set(err, -EPIPE,
				     "process %lld is gone, and nobody answers in its place",
				     (long long)before->pid);
	return 0;
}

/* ---- what came of it ------------------------------------------------------------------------ */

/* Another one may be under way, of a program that was installed before: it is waited for, also
 * through its moment in which nobody answers. */
static int begin(const char *path, struct state *ret, struct assay_err *err)
{
	uint64_t end = assay_clock_ms() + TIMEOUT_MS;
	bool was_busy = false;
	int r;

	while ((r = ask(path, CONTROL_UPGRADE, ret, err)) < 0) {
		was_busy |= r == -EBUSY;
		if (!was_busy || assay_clock_ms() > end)
			break;
		poll(NULL, 0, PAUSE_MS);
	}
	return r;
}

/* Nobody may answer for a moment, while the socket is another's. */
static int await_result(const char *path, const struct state *before, struct watch *w,
			struct state *ret, struct assay_err *err)
{
	uint64_t end = assay_clock_ms() + TIMEOUT_MS;
	int r, dead;

	do {
		r = ask(path, CONTROL_STATUS, ret, err);
		if (r == 0 && (ret->pid != before->pid || ret->failed != before->failed))
			return 0;
		if (r == 0)
			learn(w, ret);
		else if ((dead = judge(w, before, err)) < 0)
			return dead;
		poll(NULL, 0, w->pid ? PAUSE_MS : LEARN_MS);
	} while (assay_clock_ms() < end);
	return r < 0 ? r : assay_err_set(err, -ETIMEDOUT, "it is still under way");
}

static int await_end(const char *path, const struct state *before, struct state *ret,
		     struct assay_err *err)
{
	struct watch w = { .before = open_process(before->pid), .successor = -1 };
	int r = await_result(path, before, &w, ret, err);

	if (w.before >= 0)
		close(w.before);
	if (w.successor >= 0)
		close(w.successor);
	return r;
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
	r = begin(o.control, &before, &err);
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
