/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/status.h"

#include "base/hex.h"
#include "programs/assayd/log.h"
#include "programs/assayd/mounts.h"

#define UNCOVERED_SHOWN 64u

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

	return json_pack("{s:s, s:b, s:s, s:b, s:I, s:I, s:I}", "kind", kinds[d->conf.anchor],
			 "hardware_rooted", d->conf.anchor == ASSAY_CONF_ANCHOR_TPM2, "mode",
			 modes[d->conf.anchor_mode], "tpm_lost", n->tpm_lost, "extends",
			 (json_int_t)n->extends, "extend_ns", (json_int_t)n->extend_ns, "batches",
			 (json_int_t)n->batches);
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

static json_t *uncovered_json(struct daemon *d)
{
	struct mounts_uncovered what[UNCOVERED_SHOWN];
	uint32_t n = mounts_uncovered(d->mounts, what, UNCOVERED_SHOWN);
	json_t *list = json_array();

	/* A mount point may be any bytes; what is not UTF-8 gives no object and is left out. */
	for (uint32_t i = 0; list && i < n && i < UNCOVERED_SHOWN; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s}", "point", what[i].point, "type",
						what[i].type, "reason", what[i].reason));
	return list;
}

json_t *status_json(struct daemon *d)
{
	struct recorder_counts n;

	recorder_counts(d->recorder, &n);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:o}", "version", ASSAY_VERSION,
			 "policy", policy_json(d), "anchor", anchor_json(d, &n), "list",
			 list_json(d, &n), "events", events_json(d), "work", work_json(d),
			 "watched", (int)mounts_covered(d->mounts), "uncovered", uncovered_json(d));
}
