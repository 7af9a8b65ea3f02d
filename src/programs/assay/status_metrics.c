/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenMetrics 1.0 of assayd's status: a row a metric. No label has a name of somebody else's. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "programs/assay/status_page.h"

enum kind { GAUGE, COUNTER, SECONDS }; /* SECONDS: a counter of nanoseconds */

static const struct metric {
	const char *name, *path;
	enum kind kind;
	const char *help;
} metrics[] = {
	{ "assay_healthy", "health.ok", GAUGE, "1 if there is nothing to look at" },
	{ "assay_list_records", "list.records", COUNTER, "Records of the list" },
	{ "assay_list_anchored", "list.anchored", COUNTER, "Records that are anchored" },
	{ "assay_list_violations", "list.violations", COUNTER, "Violations in the list" },
	{ "assay_list_gaps", "list.gaps", COUNTER, "Gap records" },
	{ "assay_list_lost_events", "list.lost_events", COUNTER,
	  "Events that could not be recorded" },
	{ "assay_list_segment", "list.segment", GAUGE, "Segment of the list" },
	{ "assay_list_bytes", "list.bytes", GAUGE, "Size of the segment" },
	{ "assay_list_full", "list.full", GAUGE, "1 if the list cannot grow" },
	{ "assay_tpm_lost", "anchor.tpm_lost", GAUGE, "1 if the TPM does not answer" },
	{ "assay_hardware_rooted", "anchor.hardware_rooted", GAUGE, "1 if the anchor is a TPM" },
	{ "assay_extends", "anchor.extends", COUNTER, "Extends of PCRs" },
	{ "assay_extend_seconds", "anchor.extend_ns", SECONDS, "Time in extends" },
	{ "assay_batches", "anchor.batches", COUNTER, "Group commits" },
	{ "assay_events_read", "events.read", COUNTER, "Events read" },
	{ "assay_events_exempt", "events.exempt", COUNTER, "Events of exempt processes" },
	{ "assay_events_refused", "events.refused", COUNTER, "Events that the kernel took back" },
	{ "assay_events_overflows", "events.overflows", COUNTER, "Overflows of the event queue" },
	{ "assay_events_deadlines", "events.deadlines", COUNTER,
	  "Openers answered before they were measured" },
	{ "assay_events_errors", "events.errors", COUNTER, "Files that could not be judged" },
	{ "assay_events_late", "events.late", COUNTER, "Files that ran already at the start" },
	{ "assay_events_unanswered", "events.unanswered", COUNTER,
	  "Questions about openers that were not answered in time" },
	{ "assay_events_held", "events.held", GAUGE, "Openers that wait now" },
	{ "assay_queue_to_anchor", "queues.to_anchor", GAUGE, "Events on their way to the list" },
	{ "assay_queue_records", "queues.records", GAUGE,
	  "Records of the daemon itself that wait for the list" },
	{ "assay_workers_missing", "queues.workers_missing", GAUGE,
	  "Processes that should read files and are not there" },
	{ "assay_digests", "work.digests", COUNTER, "Files digested" },
	{ "assay_digest_bytes", "work.digest_bytes", COUNTER, "Bytes digested" },
	{ "assay_marks", "work.marks", COUNTER, "Ignore marks set" },
	{ "assay_broken_leases", "work.broken_leases", COUNTER, "Leases that a writer broke" },
	{ "assay_no_leases", "work.no_leases", COUNTER, "Files that somebody may be writing" },
	{ "assay_log_lines_dropped", "work.log_lines_dropped", COUNTER, "Lines of the log lost" },
	{ "assay_audit_records", "audit.records", COUNTER, "Audit records" },
	{ "assay_audit_limited", "audit.limited", COUNTER, "Audit records beyond audit_rate" },
	{ "assay_audit_journal_lost", "audit.journal.lost", COUNTER,
	  "Audit records that the journal did not get" },
	{ "assay_filesystems_watched", "watched", GAUGE, "Filesystems that are watched" },
	{ "assay_filesystems_unwatched", "unwatched", GAUGE,
	  "Filesystems that the policy can match and that are not watched" },
	{ "assay_mount_window_milliseconds", "elsewhere.window_ms", GAUGE,
	  "How long a mount in another namespace may go unseen" },
	{ "assay_search_skipped_processes", "elsewhere.hung_processes", GAUGE,
	  "Processes whose mount namespaces cannot be looked at" },
};

static void print_head(const char *name, const char *type, const char *help)
{
	printf("# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

/* What follows a name: nanoseconds, as seconds. */
static void print_seconds(json_int_t ns)
{
	printf(" %" JSON_INTEGER_FORMAT ".%09" JSON_INTEGER_FORMAT "\n", ns / 1000000000,
	       ns % 1000000000);
}

/* @end: of the name. */
static void print_number(const char *end, json_int_t n)
{
	printf("%s %" JSON_INTEGER_FORMAT "\n", end, n);
}

static void print_metric(const struct metric *m, const json_t *value)
{
	json_int_t n = json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);

	print_head(m->name, m->kind == GAUGE ? "gauge" : "counter", m->help);
	printf("%s", m->name);
	if (m->kind == SECONDS) {
		fputs("_total", stdout);
		print_seconds(n);
	} else {
		print_number(m->kind == COUNTER ? "_total" : "", n);
	}
}

/* One of those that a label tells apart. */
static void print_labelled(const char *name, const char *label, const char *value, json_int_t n)
{
	printf("%s{%s=\"", name, label);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", stdout);
		else if (*value == '"' || *value == '\\')
			printf("\\%c", *value);
		else
			putchar(*value);
	}
	print_number("\"}", n);
}

/* One sample a word, which is there while it holds. */
static void print_words(const json_t *list, const char *name, const char *help)
{
	const json_t *one;
	size_t i;

	print_head(name, "gauge", help);
	json_array_foreach(list, i, one)
	{
		const char *word =
			json_string_value(json_is_object(one) ? json_object_get(one, "what") : one);

		print_labelled(name, "what", word ? word : "?", 1);
	}
}

/* The number is the role's. */
static bool is_first(const json_t *list, size_t at, const char *role)
{
	for (size_t i = 0; i < at; i++) {
		const char *other =
			json_string_value(json_object_get(json_array_get(list, i), "role"));

		if (other && strcmp(other, role) == 0)
			return false;
	}
	return true;
}

static void print_restarts(const json_t *list)
{
	const json_t *one;
	size_t i;

	if (!list)
		return;
	print_head("assay_process_restarts", "counter", "Processes of that role that have ended");
	json_array_foreach(list, i, one)
	{
		const char *role = json_string_value(json_object_get(one, "role"));

		if (!role || !is_first(list, i, role))
			continue;
		print_labelled("assay_process_restarts_total", "role", role,
			       json_integer_value(json_object_get(one, "restarts")));
	}
}

static void print_waits(const json_t *waits)
{
	json_int_t sum = json_integer_value(json_object_get(waits, "sum_ns"));
	json_int_t count = json_integer_value(json_object_get(waits, "count"));
	const char *bound;
	json_t *n;

	if (!waits)
		return;
	print_head("assay_wait_seconds", "histogram", "How long openers waited");
	json_object_foreach(json_object_get(waits, "within"), bound, n)
		print_labelled("assay_wait_seconds_bucket", "le", bound, json_integer_value(n));
	print_labelled("assay_wait_seconds_bucket", "le", "+Inf", count);
	print_number("assay_wait_seconds_count", count);
	fputs("assay_wait_seconds_sum", stdout);
	print_seconds(sum);
}

void status_metrics_print(const json_t *reply)
{
	const char *version = json_string_value(json_object_get(reply, "version"));

	if (version) {
		print_head("assay_build", "info", "Version of assayd");
		print_labelled("assay_build_info", "version", version, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		const json_t *value = status_find(reply, metrics[i].path);

		if (value)
			print_metric(&metrics[i], value);
	}
	print_waits(json_object_get(reply, "waits"));
	print_words(status_find(reply, "health.troubles"), "assay_trouble",
		    "What an operator must look at");
	print_words(json_object_get(reply, "not_protected"), "assay_not_protected",
		    "What is not protected");
	print_restarts(json_object_get(reply, "processes"));
	puts("# EOF");
}
