/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "assay audit": the audit records that a running assayd keeps, and those that come. It is asked
 * for what is new, so that a reader that is slow or gone holds up nobody.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "formats/audit.h"
#include "programs/assay/commands.h"
#include "programs/common/control_msg.h"

#define NAME	   "audit"
#define TIMEOUT_MS 30000
#define PAUSE_MS   250 /* between two questions */
#define RETRY_MS   1000

struct options {
	const char *control;
	const char *path; /* prefix */
	uint64_t uid;
	bool has_uid, follow, json;
};

/* Where in the records of which run of assayd. */
struct place {
	uint64_t run, after;
};

static int take_uid(void *options, const char *text, struct assay_err *err)
{
	struct options *o = options;

	if (assay_num_parse(assay_bytes_str(text), 10, UINT32_MAX, &o->uid) < 0)
		return assay_err_set(err, -EINVAL, "'%s' is not the number of a user", text);
	o->has_uid = true;
	return 0;
}

static const struct option_row rows[] = {
	{ 'C', "control", "SOCKET", "of assayd (" CONTROL_SOCKET ")", OPTION_TEXT,
	  offsetof(struct options, control) },
	{ 'f', "follow", NULL, "go on with what comes, until it is interrupted", OPTION_FLAG,
	  offsetof(struct options, follow) },
	{ 'j', "json", NULL, "one JSON object a line", OPTION_FLAG,
	  offsetof(struct options, json) },
	{ 'u', "uid", "N", "only records of this user", OPTION_CALL, 0, take_uid },
	{ 'p', "path", "PREFIX", "only records of files whose path begins so", OPTION_TEXT,
	  offsetof(struct options, path) },
	{ 0 },
};

/* ---- one record ----------------------------------------------------------------------------- */

static bool has_prefix(const struct assay_audit *r, enum assay_audit_field field,
		       const char *prefix)
{
	size_t len = strlen(prefix);

	return assay_audit_has(r, field) && r->value[field].text.len >= len &&
	       memcmp(r->value[field].text.data, prefix, len) == 0;
}

/* What says that records are missing is told to everybody. */
static bool is_wanted(const struct options *o, const struct assay_audit *r)
{
	if (assay_audit_has(r, ASSAY_AUDIT_OP) &&
	    (assay_bytes_is(r->value[ASSAY_AUDIT_OP].text, "audit_lost") ||
	     assay_bytes_is(r->value[ASSAY_AUDIT_OP].text, "rate_limit")))
		return true;
	if (o->has_uid &&
	    !(assay_audit_has(r, ASSAY_AUDIT_UID) && r->value[ASSAY_AUDIT_UID].number == o->uid))
		return false;
	return !o->path || has_prefix(r, ASSAY_AUDIT_FILE, o->path) ||
	       has_prefix(r, ASSAY_AUDIT_NAME, o->path);
}

/* As in the file that auditd writes, so that ausearch reads it. */
static void print_text(const struct assay_audit *r)
{
	static char text[4 * ASSAY_AUDIT_LINE_MAX];
	struct assay_wr w = assay_wr(text, sizeof(text));

	assay_audit_print(r, false, &w);
	printf("type=%s msg=audit(%" PRIu64 ".%03" PRIu64 ":%" PRIu64 "): %.*s\n",
	       assay_audit_type_name(r->type), r->time_us / 1000000, r->time_us / 1000 % 1000,
	       assay_audit_has(r, ASSAY_AUDIT_SEQ) ? r->value[ASSAY_AUDIT_SEQ].number : 0,
	       (int)w.len, text);
}

static void print_record(const struct options *o, const struct assay_audit *r)
{
	static char line[ASSAY_AUDIT_LINE_MAX];
	struct assay_wr w = assay_wr(line, sizeof(line));

	if (!is_wanted(o, r))
		return;
	if (!o->json) {
		print_text(r);
		return;
	}
	assay_audit_encode(r, &w);
	printf("%.*s\n", (int)w.len, line);
}

/* What has left the daemon's memory before it was asked for. */
static void print_missed(const struct options *o, uint64_t n)
{
	struct assay_audit r = { .type = ASSAY_AUDIT_TYPE_STATUS };

	r.time_us = assay_clock_read(CLOCK_REALTIME) / 1000;
	assay_audit_set_text(&r, ASSAY_AUDIT_OP, assay_bytes_str("audit_lost"));
	assay_audit_set_text(&r, ASSAY_AUDIT_CAUSE, assay_bytes_str("follower"));
	assay_audit_set_number(&r, ASSAY_AUDIT_RES, 0);
	assay_audit_set_number(&r, ASSAY_AUDIT_COUNT, n);
	print_record(o, &r);
}

/* ---- the daemon ----------------------------------------------------------------------------- */

static int ask(const struct options *o, uint64_t after, json_t **ret, struct assay_err *err)
{
	const struct control_request request = { .op = CONTROL_AUDIT, .after = after };

	return control_ask(o->control, &request, TIMEOUT_MS, ret, err);
}

static int print_one(const struct options *o, const json_t *one, struct assay_err *err)
{
	static char line[ASSAY_AUDIT_LINE_MAX], space[ASSAY_AUDIT_LINE_MAX];
	size_t len = json_dumpb(one, line, sizeof(line), JSON_COMPACT);
	struct assay_audit record;
	int r;

	if (len > sizeof(line))
		return assay_err_set(err, -E2BIG, "a record that is too long");
	r = assay_audit_parse(assay_bytes(line, len), space, sizeof(space), &record, err);
	if (r == 0)
		print_record(o, &record);
	return r;
}

static int number(const json_t *reply, const char *key, uint64_t *ret, struct assay_err *err)
{
	const json_t *value = json_object_get(reply, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return assay_err_set(err, -EBADMSG, "a reply without '%s'", key);
	*ret = (uint64_t)json_integer_value(value);
	return 0;
}

/* *@ret_n: how many records there were. */
static int take_reply(const struct options *o, const json_t *reply, struct place *at, size_t *ret_n,
		      struct assay_err *err)
{
	const json_t *records = json_object_get(reply, "records"), *one;
	uint64_t missed = 0;
	struct place next;
	size_t i;
	int r = number(reply, "run", &next.run, err);

	if (r == 0)
		r = number(reply, "after", &next.after, err);
	if (r == 0)
		r = number(reply, "missed", &missed, err);
	if (r == 0 && !json_is_array(records))
		r = assay_err_set(err, -EBADMSG, "a reply without 'records'");
	if (r < 0)
		return r;
	*ret_n = json_array_size(records);
	if (at->run != next.run && at->after) {
		/* Another assayd, of which everything is new. */
		*at = (struct place){ .run = next.run };
		*ret_n = 1;
		return 0;
	}
	if (missed)
		print_missed(o, missed);
	json_array_foreach(records, i, one) if (r == 0) r = print_one(o, one, err);
	*at = next;
	return r;
}

static void pause_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int step(const struct options *o, struct place *at, size_t *ret_n, struct assay_err *err)
{
	json_t *reply;
	int r = ask(o, at->after, &reply, err);

	*ret_n = 0;
	if (r < 0)
		return r;
	r = take_reply(o, reply, at, ret_n, err);
	json_decref(reply);
	if (r == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		r = assay_err_set(err, -EPIPE, "cannot write to the standard output: %s",
				  strerror(errno));
	return r;
}

/* Nobody is there, for now. */
static bool is_away(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED || r == -EPIPE || r == -ETIMEDOUT ||
	       r == -ECONNRESET;
}

static int follow(const struct options *o, struct place *at, struct assay_err *err)
{
	bool away = false;
	size_t n;

	for (;;) {
		int r = step(o, at, &n, err);

		if (r < 0 && (!is_away(r) || ferror(stdout)))
			return r;
		if (r < 0 && !away)
			fprintf(stderr, "assay " NAME ": %s; it is waited for\n", err->text);
		away = r < 0;
		if (n == 0)
			pause_ms(away ? RETRY_MS : PAUSE_MS);
	}
}

static int run(int argc, char **argv)
{
	struct options o = { .control = CONTROL_SOCKET };
	int r = options_parse_all(NAME, rows, argc, argv, &o);
	struct place at = { 0 };
	struct assay_err err;
	size_t n = 1;

	if (r)
		return r;
	while (r == 0 && n > 0)
		r = step(&o, &at, &n, &err);
	if (r == 0 && o.follow)
		r = follow(&o, &at, &err);
	return r < 0 ? assay_cmd_fail(NAME, NULL, &err) : EXIT_YES;
}

const struct command cmd_audit = {
	.name = NAME,
	.synopsis = "[--control SOCKET] [--follow] [--json] [--uid N] [--path PREFIX]",
	.summary = "audit records of a running assayd",
	.rows = rows,
	.run = run,
};
