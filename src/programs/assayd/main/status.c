/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The document is made in one piece; what everybody may see is what is left of it without texts and
 * lists, and so can show no name that somebody adds later.
 */
#include "programs/assayd/main/status.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/fmt.h"
#include "base/hex.h"
#include "programs/assayd/audit/audit_reply.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/handover.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/needed.h"
#include "programs/assayd/main/mounts.h"
#include "programs/assayd/main/scout.h"
#include "programs/assayd/main/status_health.h"
#include "programs/assayd/peek/peek.h"

#define SCHEMA		1
#define PROCESSES_SHOWN 64u
#define ANCHOR_MS	1000 /* that its counts are waited for */
#define UNCOVERED_SHOWN 64u
#define UNCOVERED_BYTES 32768u /* of the reply, which must be one message */

static json_int_t number(const _Atomic uint64_t *value)
{
	return (json_int_t)atomic_load(value);
}

/* With those of U+0080 to U+009F, which terminals obey too. */
static bool is_control(const char *c)
{
	const uint8_t *b = (const uint8_t *)c;

	return b[0] < 0x20 || b[0] == 0x7f || (b[0] == 0xc2 && b[1] >= 0x80 && b[1] < 0xa0);
}

json_t *status_text(const char *text)
{
	json_t *good = json_string(text);
	char out[4096];
	size_t len = 0;

	for (const char *c = text; *c && good; c++)
		if (is_control(c)) {
			json_decref(good);
			good = NULL;
		}
	for (const char *c = text; *c && !good && len < sizeof(out) - 5; c++) {
		if (*c < 0x20 || *c > 0x7e || *c == '\\')
			len += assay_fmt(out + len, sizeof(out) - len, "\\x%02x", (uint8_t)*c);
		else
			out[len++] = *c;
	}
	return good ? good : json_stringn(out, len);
}

json_t *status_policy(const struct loaded_policy *p)
{
	char digest[2 * ASSAY_HASH_SIZE_MAX + 1];

	assay_hex_encode(assay_digest_bytes(&p->digest), digest);
	return json_pack("{s:o, s:s}", "name", status_text(p->name), "sha256", digest);
}

static json_t *policy_json(struct daemon *d)
{
	const struct loaded_policy *p = atomic_load(&d->policy);
	bool eager = d->conf.first_sight == ASSAY_CONF_SIGHT_EAGER ||
		     (d->conf.first_sight == ASSAY_CONF_SIGHT_AUTO && p->builtin);
	json_t *policy = status_policy(p);

	if (policy)
		json_object_set_new(policy, "first_sight", json_string(eager ? "eager" : "exact"));
	return policy;
}

/* A software anchor is called that, and not a TPM. */
static json_t *anchor_json(struct daemon *d, const struct recorder_counts *n)
{
	static const char *const kinds[] = { "tpm2", "soft", "none" };
	static const char *const modes[] = { "each", "group", "ordered" };

	return json_pack("{s:s, s:b, s:s*, s:b, s:s, s:b, s:I, s:I, s:I, s:I}", "kind",
			 kinds[d->conf.anchor], "hardware_rooted",
			 d->conf.anchor == ASSAY_CONF_ANCHOR_TPM2, "ek_name",
			 anchor_ek(d->anchor)[0] ? anchor_ek(d->anchor) : NULL, "landlock",
			 anchor_has_landlock(d->anchor), "mode", modes[d->conf.anchor_mode],
			 "tpm_lost", n->tpm_lost, "extends", (json_int_t)n->extends, "extend_ns",
			 (json_int_t)n->extend_ns, "batches", (json_int_t)n->batches,
			 "last_extend_ns", (json_int_t)n->last_extend_ns);
}

static json_t *list_json(struct daemon *d, const struct recorder_counts *n)
{
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "folder",
			 status_text(d->conf.list_dir), "segment", (json_int_t)n->segment,
			 "records", (json_int_t)n->records, "anchored", (json_int_t)n->anchored,
			 "violations", (json_int_t)n->violations, "gaps", (json_int_t)n->gaps,
			 "lost_events", (json_int_t)n->lost_events, "bytes",
			 (json_int_t)n->list_bytes, "full", n->list_full);
}

static json_t *events_json(struct daemon *d)
{
	const struct daemon_totals *t = &d->totals;
	struct assay_fanotify_counts n;

	assay_fanotify_counts(d->group, &n);
	return json_pack("{s:I, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:I}", "read",
			 (json_int_t)n.events, "exempt", (json_int_t)n.exempt, "refused",
			 (json_int_t)n.refused, "overflows", (json_int_t)n.overflows, "held",
			 (int)atomic_load(&d->arrivals.held), "deadlines", number(&t->deadlines),
			 "errors", number(&t->errors), "late", number(&t->late), "unanswered",
			 (json_int_t)peek_unanswered(d->peek));
}

/* How far what was read has come. */
static json_t *queues_json(struct daemon *d)
{
	return json_pack("{s:i, s:i, s:i, s:i}", "held", (int)atomic_load(&d->arrivals.held),
			 "to_anchor", (int)atomic_load(&d->arrivals.on_way), "records",
			 (int)records_waiting(d->records), "workers_missing",
			 (int)crew_missing(loop_crew(d->loop)));
}

/* As OpenMetrics has it: each bound counts those below it, too. */
static json_t *waits_json(struct daemon *d)
{
	static const char *const bounds[] = {
#define X(ns, seconds) seconds,
		LATENCY_LIST(X)
#undef X
	};
	json_t *within = json_object();
	json_int_t n = 0;

	for (size_t i = 0; within && i < LATENCY_BOUNDS; i++) {
		n += number(&d->totals.waits.n[i]);
		json_object_set_new(within, bounds[i], json_integer(n));
	}
	n += number(&d->totals.waits.n[LATENCY_BOUNDS]);
	return json_pack("{s:I, s:I, s:o}", "count", n, "sum_ns", number(&d->totals.waits.sum_ns),
			 "within", within);
}

static json_t *work_json(struct daemon *d)
{
	const struct daemon_totals *t = &d->totals;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:I}", "digests", number(&t->digests),
			 "digest_bytes", number(&t->digest_bytes), "marks", number(&t->marks),
			 "broken_leases", number(&t->broken_leases), "no_leases",
			 number(&t->no_leases), "evictable_marks",
			 assay_fanotify_has_evictable(d->group), "log_lines_dropped",
			 (json_int_t)log_dropped());
}

/* A mount point may be any bytes, and its user's choice. */
static json_t *uncovered_one(const struct mounts_uncovered *what)
{
	return json_pack("{s:o, s:o, s:s}", "point", status_text(what->point), "type",
			 status_text(what->type), "reason", what->reason);
}

/* As many as fit; *@ret_more: and so many more. */
static json_t *uncovered_json(struct daemon *d, uint32_t *ret_n, uint32_t *ret_more)
{
	struct mounts_uncovered what[UNCOVERED_SHOWN];
	uint32_t n = mounts_uncovered(d->mounts, what, UNCOVERED_SHOWN), i;
	json_t *list = json_array(), *one;
	size_t bytes = 0;

	for (i = 0; list && i < n && i < UNCOVERED_SHOWN; i++) {
		one = uncovered_one(&what[i]);
		bytes += one ? json_dumpb(one, NULL, 0, 0) : 0;
		if (!one || bytes > UNCOVERED_BYTES) {
			json_decref(one);
			break;
		}
		json_array_append_new(list, one);
	}
	*ret_n = n;
	*ret_more = n - i;
	return list;
}

/* Mounts that are in other namespaces only; null: they are not looked for. */
static json_t *elsewhere_json(struct daemon *d)
{
	struct scout_state s;

	if (!d->scout)
		return json_null();
	scout_get_state(d->scout, &s);
	return json_pack("{s:i, s:i, s:I, s:i, s:I, s:i, s:i}", "namespaces", (int)s.namespaces,
			 "filesystems", (int)s.filesystems, "window_ms",
			 (json_int_t)(s.window_ns / 1000000u), "marked", (int)s.marked,
			 "marked_window_ms", (json_int_t)(s.marked_window_ns / 1000000u), "hung",
			 (int)s.hung, "hung_processes", (int)s.hung_processes);
}

/* ---- processes ------------------------------------------------------------------------------ */

/* As ps has it; '?': it is gone. */
static char state_letter(pid_t pid)
{
	char path[32], text[512];
	AUTO(fd) int fd = -1;
	const char *end;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return '?';
	text[n] = '\0';
	end = strrchr(text, ')'); /* of a name that may have some */
	return end && end[1] == ' ' ? end[2] : '?';
}

static const char *state_word(char letter)
{
	switch (letter) {
	case 'T':
	case 't':
		return "stopped";
	case 'Z':
	case 'X':
	case '?':
		return "ended";
	case 'D':
		return "waits";
	default:
		return "runs";
	}
}

static void add_process(json_t *list, const char *role, pid_t pid, uint32_t restarts)
{
	json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:i}", "role", role, "pid", (int)pid,
					      "state", state_word(state_letter(pid)), "restarts",
					      (int)restarts));
}

/* Roles of which there is always one, unless somebody is late in taking the place of the last. */
static const uint32_t lasting = 1u << CHILD_WORKER | 1u << CHILD_ANCHOR | 1u << CHILD_CONTROL |
				1u << CHILD_VIEW | 1u << CHILD_SCOUT | 1u << CHILD_PEEK;

static uint32_t add_missing(json_t *list, const uint32_t ended[CHILD_ROLE_COUNT], uint32_t alive)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < CHILD_ROLE_COUNT; i++) {
		if (!ended[i] || (alive | ~lasting) & 1u << i)
			continue;
		json_array_append_new(list,
				      json_pack("{s:s, s:n, s:s, s:i}", "role",
						child_role_name((enum child_role)i), "pid", "state",
						"missing", "restarts", (int)ended[i] - 1));
		n++;
	}
	return n;
}

static json_t *processes_json(struct daemon *d, uint32_t *ret_missing)
{
	struct spawner_child child[PROCESSES_SHOWN];
	uint32_t ended[CHILD_ROLE_COUNT];
	size_t n = spawner_list(d->spawner, child, PROCESSES_SHOWN, ended);
	json_t *list = json_array();
	uint32_t alive = 0;

	if (!list)
		return NULL;
	add_process(list, "main", getpid(), 0);
	add_process(list, child_role_name(CHILD_SPAWNER), spawner_pid(d->spawner), 0);
	for (size_t i = 0; i < n; i++) {
		alive |= 1u << child[i].role;
		add_process(list, child_role_name(child[i].role), child[i].pid,
			    ended[child[i].role]);
	}
	*ret_missing = add_missing(list, ended, alive);
	return list;
}

/* ---- gaps ----------------------------------------------------------------------------------- */

void status_note(struct daemon *d)
{
	struct assay_fanotify_counts n;
	uint64_t gaps;

	assay_fanotify_counts(d->group, &n);
	gaps = n.overflows + n.refused + atomic_load(&d->totals.early);
	if (gaps != atomic_exchange(&d->totals.gaps_seen, gaps))
		atomic_store(&d->totals.gap_ns, assay_clock_ns());
}

static uint64_t gap_age_ns(struct daemon *d)
{
	uint64_t at = atomic_load(&d->totals.gap_ns);

	return at ? assay_clock_ns() - at : UINT64_MAX;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static json_t *reload_json(const struct reload_state *r)
{
	json_t *reload = json_pack("{s:o}", "needs_restart", reload_keys_json(r->needs_restart));

	if (reload && r->refused != RELOAD_FINE)
		json_object_set_new(reload, "refused",
				    json_pack("{s:s, s:o}", "what", reload_refused_name(r->refused),
					      "reason", status_text(r->reason)));
	return reload;
}

static void gather(struct daemon *d, struct health_facts *f)
{
	struct scout_state scout = { 0 };

	f->anchor_answers = anchor_counts_within(d->anchor, ANCHOR_MS, &f->list) == 0;
	if (d->scout)
		scout_get_state(d->scout, &scout);
	f->window_ms = scout.window_ns / 1000000u;
	f->marked = scout.marked;
	f->marked_window_ms = scout.marked_window_ns / 1000000u;
	f->search_is_late = scout.is_late;
	f->hung = scout.hung;
	f->hung_processes = scout.hung_processes;
	f->gap_age_ns = gap_age_ns(d);
	reload_get_state(d->reload, &f->reload);
}

static json_t *full_json(struct daemon *d)
{
	struct health_facts f = { 0 };
	json_t *uncovered, *processes;
	uint32_t more;

	gather(d, &f);
	uncovered = uncovered_json(d, &f.uncovered, &more);
	processes = processes_json(d, &f.missing);
	return json_pack(
		"{s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:o, "
		"s:i, s:o, s:o, s:o, s:o, s:o}",
		"schema", SCHEMA, "version", ASSAY_VERSION, "health", health_json(d, &f),
		"not_protected", health_not_protected(d, &f), "policy", policy_json(d), "anchor",
		anchor_json(d, &f.list), "list", list_json(d, &f.list), "events", events_json(d),
		"queues", queues_json(d), "waits", waits_json(d), "work", work_json(d), "audit",
		audit_status(d->audit), "watched", (int)mounts_covered(d->mounts), "unwatched",
		(int)f.uncovered, "uncovered", uncovered, "uncovered_more", (int)more, "elsewhere",
		elsewhere_json(d), "reload", reload_json(&f.reload), "processes", processes,
		"exempt", needed_json(d->needed), "handover", handover_json(d->handover));
}

/* Numbers and answers to yes or no, with what they are in; no text, no list. */
static json_t *numbers_of(const json_t *from)
{
	json_t *to = json_object(), *member;
	const char *key;

	json_object_foreach((json_t *)from, key, member)
	{
		if (json_is_integer(member) || json_is_boolean(member))
			json_object_set(to, key, member);
		else if (json_is_object(member))
			json_object_set_new(to, key, numbers_of(member));
	}
	return to;
}

/* The word of each, which is ours. */
static json_t *words_of(const json_t *list)
{
	json_t *words = json_array(), *one;
	size_t i;

	json_array_foreach(list, i, one) json_array_append(words, json_object_get(one, "what"));
	return words;
}

json_t *status_json(struct daemon *d, bool public)
{
	json_t *full = full_json(d), *some;

	if (!full || !public)
		return full;
	some = numbers_of(full);
	json_object_set_new(json_object_get(some, "health"), "troubles",
			    words_of(json_object_get(json_object_get(full, "health"), "troubles")));
	json_object_set_new(some, "not_protected",
			    words_of(json_object_get(full, "not_protected")));
	json_decref(full);
	return some;
}
