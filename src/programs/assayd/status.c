/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/status.h"

#include "base/fmt.h"
#include "base/hex.h"
#include "programs/assayd/audit_reply.h"
#include "programs/assayd/log.h"
#include "programs/assayd/mounts.h"
#include "programs/assayd/scout.h"

#define UNCOVERED_SHOWN 64u
#define UNCOVERED_BYTES 32768u /* of the reply, which must be one message */

static json_int_t number(const _Atomic uint64_t *value)
{
	return (json_int_t)atomic_load(value);
}

static json_t *policy_json(struct daemon *d)
{
	const struct loaded_policy *p = atomic_load(&d->policy);
	bool eager = d->conf.first_sight == ASSAY_CONF_SIGHT_EAGER ||
		     (d->conf.first_sight == ASSAY_CONF_SIGHT_AUTO && p->builtin);
	char digest[2 * ASSAY_HASH_SIZE_MAX + 1];

	assay_hex_encode(assay_digest_bytes(&p->digest), digest);
	return json_pack("{s:s, s:s, s:s}", "name", p->name, "sha256", digest, "first_sight",
			 eager ? "eager" : "exact");
}

/* A software anchor is called that, and not a TPM. */
static json_t *anchor_json(struct daemon *d, const struct recorder_counts *n)
{
	static const char *const kinds[] = { "tpm2", "soft", "none" };
	static const char *const modes[] = { "each", "group", "ordered" };

	return json_pack("{s:s, s:b, s:s*, s:b, s:s, s:b, s:I, s:I, s:I}", "kind",
			 kinds[d->conf.anchor], "hardware_rooted",
			 d->conf.anchor == ASSAY_CONF_ANCHOR_TPM2, "ek_name",
			 anchor_ek(d->anchor)[0] ? anchor_ek(d->anchor) : NULL, "landlock",
			 anchor_has_landlock(d->anchor), "mode", modes[d->conf.anchor_mode],
			 "tpm_lost", n->tpm_lost, "extends", (json_int_t)n->extends, "extend_ns",
			 (json_int_t)n->extend_ns, "batches", (json_int_t)n->batches);
}

static json_t *list_json(struct daemon *d, const struct recorder_counts *n)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "folder",
			 d->conf.list_dir, "segment", (json_int_t)n->segment, "records",
			 (json_int_t)n->records, "anchored", (json_int_t)n->anchored, "violations",
			 (json_int_t)n->violations, "gaps", (json_int_t)n->gaps, "lost_events",
			 (json_int_t)n->lost_events, "bytes", (json_int_t)n->list_bytes, "full",
			 n->list_full);
}

static json_t *events_json(struct daemon *d)
{
	const struct daemon_totals *t = &d->totals;
	struct assay_fanotify_counts n;

	assay_fanotify_counts(d->group, &n);
	return json_pack("{s:I, s:I, s:I, s:I, s:i, s:I, s:I, s:I}", "read", (json_int_t)n.events,
			 "exempt", (json_int_t)n.exempt, "refused", (json_int_t)n.refused,
			 "overflows", (json_int_t)n.overflows, "held", (int)jobs_open(d->jobs),
			 "deadlines", number(&t->deadlines), "errors", number(&t->errors), "late",
			 number(&t->late));
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

/* A mount point may be any bytes, and its user's choice; here it is written as in the list. */
static json_t *uncovered_one(const struct mounts_uncovered *what)
{
	char point[4 * sizeof(what->point)];
	size_t len = 0;

	for (const char *c = what->point; *c; c++) {
		if (*c < 0x20 || *c > 0x7e || *c == '\\')
			len += assay_fmt(point + len, sizeof(point) - len, "\\x%02x", (uint8_t)*c);
		else
			point[len++] = *c;
	}
	return json_pack("{s:s%, s:s, s:s}", "point", point, len, "type", what->type, "reason",
			 what->reason);
}

/* As many as fit; *@ret_more: and so many more. */
static json_t *uncovered_json(struct daemon *d, uint32_t *ret_more)
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
	return json_pack("{s:i, s:i, s:I, s:i}", "namespaces", (int)s.namespaces, "filesystems",
			 (int)s.filesystems, "window_ms", (json_int_t)(s.window_ns / 1000000u),
			 "hung", (int)s.hung);
}

json_t *status_json(struct daemon *d)
{
	struct recorder_counts n = { 0 };
	json_t *uncovered;
	uint32_t more;

	(void)anchor_counts(d->anchor, &n, NULL);
	uncovered = uncovered_json(d, &more);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:i, s:o}", "version",
			 ASSAY_VERSION, "policy", policy_json(d), "anchor", anchor_json(d, &n),
			 "list", list_json(d, &n), "events", events_json(d), "work", work_json(d),
			 "audit", audit_status(d->audit), "watched", (int)mounts_covered(d->mounts),
			 "uncovered", uncovered, "uncovered_more", (int)more, "elsewhere",
			 elsewhere_json(d));
}
