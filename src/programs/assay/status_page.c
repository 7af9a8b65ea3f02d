/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/status_page.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

#define UNCOVERED_LINES 8u
#define KEY_MAX		32u

const json_t *status_find(const json_t *reply, const char *path)
{
	char key[KEY_MAX];

	while (reply && *path) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		reply = json_object_get(reply, key);
		path += len + (path[len] == '.');
	}
	return reply;
}

static const char *text(const json_t *reply, const char *path)
{
	const char *s = json_string_value(status_find(reply, path));

	return s ? s : "?";
}

static json_int_t number(const json_t *reply, const char *path)
{
	return json_integer_value(status_find(reply, path));
}

/* ---- worst first ---------------------------------------------------------------------------- */

/* A word with its reason, or (from the public socket) by itself. */
static void print_words(const json_t *list, char sign)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (json_is_string(one))
			printf("%c %s\n", sign, json_string_value(one));
		else
			printf("%c %-18s %s\n", sign, text(one, "what"), text(one, "reason"));
	}
}

static void print_health(const json_t *reply)
{
	const json_t *troubles = status_find(reply, "health.troubles");
	const json_t *open = status_find(reply, "not_protected");

	if (json_string_value(json_object_get(reply, "version")))
		printf("assayd %s: ", text(reply, "version"));
	else
		printf("assayd: ");
	if (json_is_true(status_find(reply, "health.ok")))
		puts("it is well");
	else
		printf("%zu to look at\n", json_array_size(troubles));
	print_words(troubles, '!');
	if (json_array_size(open))
		puts("not protected:");
	print_words(open, '-');
}

static void print_keys(const json_t *keys)
{
	const json_t *key;
	size_t i;

	if (!json_array_size(keys))
		return;
	printf("restart      for what is new in the configuration:");
	json_array_foreach(keys, i, key) printf(" %s", json_string_value(key));
	putchar('\n');
}

/* ---- what is in force ----------------------------------------------------------------------- */

static void print_policy(const json_t *reply)
{
	if (!status_find(reply, "policy.name"))
		return;
	printf("policy       %s, sha256 %.16s..., first sight %s\n", text(reply, "policy.name"),
	       text(reply, "policy.sha256"), text(reply, "policy.first_sight"));
	print_keys(status_find(reply, "reload.needs_restart"));
}

static double milliseconds(json_int_t ns)
{
	return (double)ns / 1e6;
}

static void print_anchor(const json_t *reply)
{
	json_int_t extends = number(reply, "anchor.extends");

	printf("anchor       ");
	if (status_find(reply, "anchor.kind"))
		printf("%s, mode %s, ", text(reply, "anchor.kind"), text(reply, "anchor.mode"));
	printf("%" JSON_INTEGER_FORMAT " extends", extends);
	if (extends)
		printf(", %.1f ms each, the last %.1f ms",
		       milliseconds(number(reply, "anchor.extend_ns")) / (double)extends,
		       milliseconds(number(reply, "anchor.last_extend_ns")));
	putchar('\n');
}

static void print_list(const json_t *reply)
{
	printf("list         %" JSON_INTEGER_FORMAT " records, %" JSON_INTEGER_FORMAT
	       " anchored, %" JSON_INTEGER_FORMAT " violations, %" JSON_INTEGER_FORMAT " gaps, "
	       "segment %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " KiB\n",
	       number(reply, "list.records"), number(reply, "list.anchored"),
	       number(reply, "list.violations"), number(reply, "list.gaps"),
	       number(reply, "list.segment"), number(reply, "list.bytes") / 1024);
}

/* "NAME key N, key N": those of one object. */
static void print_counts(const json_t *reply, const char *name, const char *object,
			 const char *const *keys)
{
	const json_t *of = status_find(reply, object);
	const char *comma = " ";

	printf("%-12s", name);
	for (; *keys; keys++) {
		const json_t *value = json_object_get(of, *keys);

		if (!value)
			continue;
		printf("%s%s %" JSON_INTEGER_FORMAT, comma, *keys, json_integer_value(value));
		comma = ", ";
	}
	putchar('\n');
}

static void print_work(const json_t *reply)
{
	static const char *const events[] = { "read",	   "held",    "late",	"deadlines",
					      "overflows", "refused", "errors", NULL };
	static const char *const work[] = { "digests", "marks", "broken_leases", "no_leases",
					    NULL };
	static const char *const audit[] = { "records", "limited", NULL };

	print_counts(reply, "events", "events", events);
	print_counts(reply, "work", "work", work);
	print_counts(reply, "audit", "audit", audit);
}

/* The bound, in milliseconds, within which so many of a hundred were answered; -1: beyond all. */
static double within(const json_t *waits, json_int_t percent)
{
	json_int_t count = number(waits, "count");
	const char *bound;
	json_t *n;

	json_object_foreach(json_object_get(waits, "within"), bound,
			    n) if (json_integer_value(n) * 100 >=
				   count * percent) return strtod(bound, NULL) *
		1000;
	return -1;
}

static void print_waits(const json_t *reply)
{
	const json_t *waits = json_object_get(reply, "waits");
	json_int_t count = number(waits, "count");

	if (!count)
		return;
	printf("waits        %" JSON_INTEGER_FORMAT " openers, %.2f ms each", count,
	       milliseconds(number(waits, "sum_ns")) / (double)count);
	if (within(waits, 50) > 0)
		printf("; half within %g ms", within(waits, 50));
	if (within(waits, 99) > 0)
		printf(", 99 of 100 within %g ms", within(waits, 99));
	putchar('\n');
}

/* ---- what is watched ------------------------------------------------------------------------ */

static void print_coverage(const json_t *reply)
{
	const json_t *list = json_object_get(reply, "uncovered"), *one;
	json_int_t n = number(reply, "unwatched");
	size_t i;

	printf("filesystems  %" JSON_INTEGER_FORMAT " watched, %" JSON_INTEGER_FORMAT " not",
	       number(reply, "watched"), n);
	if (status_find(reply, "elsewhere.namespaces"))
		printf("; %" JSON_INTEGER_FORMAT " in %" JSON_INTEGER_FORMAT
		       " other namespaces, seen within %" JSON_INTEGER_FORMAT " ms",
		       number(reply, "elsewhere.filesystems"),
		       number(reply, "elsewhere.namespaces"), number(reply, "elsewhere.window_ms"));
	if (number(reply, "elsewhere.marked") > 0)
		printf(" (%" JSON_INTEGER_FORMAT " ms in %" JSON_INTEGER_FORMAT " that are known)",
		       number(reply, "elsewhere.marked_window_ms"),
		       number(reply, "elsewhere.marked"));
	putchar('\n');
	json_array_foreach(list, i, one)
	{
		if (i == UNCOVERED_LINES) {
			printf("  and %" JSON_INTEGER_FORMAT " more: see --json\n",
			       n - (json_int_t)i);
			break;
		}
		printf("  not %s (%s): %s\n", text(one, "point"), text(one, "type"),
		       text(one, "reason"));
	}
}

static void print_processes(const json_t *reply)
{
	const json_t *list = json_object_get(reply, "processes"), *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		printf("%s%s %" JSON_INTEGER_FORMAT, i ? ", " : "processes    ", text(one, "role"),
		       number(one, "pid"));
		if (strcmp(text(one, "state"), "runs") != 0)
			printf(" (%s)", text(one, "state"));
		if (number(one, "restarts"))
			printf(" (restarted %" JSON_INTEGER_FORMAT ")", number(one, "restarts"));
	}
	if (list)
		putchar('\n');
}

void status_page_print(const json_t *reply)
{
	print_health(reply);
	print_policy(reply);
	print_anchor(reply);
	print_list(reply);
	print_waits(reply);
	print_work(reply);
	print_coverage(reply);
	print_processes(reply);
}
