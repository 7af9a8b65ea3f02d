/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's records that come after the segment's first: found by the PCRs, and announced where
 * they belong. What the PCRs hold is compared with a replay of the whole list, in which steps of
 * ours may wait at the end; it is kept there, so that a look costs what is new.
 */
#include "programs/assayd/anchor/recorder_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "engine/merge.h"

#define NOWHERE UINT64_MAX

static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };

/* ---- the list's end ------------------------------------------------------------------------- */

void recorder_drop_tip(struct recorder *r)
{
	assay_replay_free(TAKE(r->tip));
	r->tip_end = 0;
}

/* Takes what others have written since. The walk's own replay, if it is further, is where to begin.
 */
static int take_tip(struct recorder *r, struct assay_err *err)
{
	struct assay_bytes all = assay_list_file_records(r->list);
	struct assay_record record;
	struct assay_rd in;
	int rc = 0;

	if (!r->tip || r->tip_end < r->taken) {
		recorder_drop_tip(r);
		if (assay_replay_copy(r->replay, &r->tip) < 0)
			return assay_err_set(err, -ENOMEM, "no memory to replay the list");
		r->tip_end = r->taken;
	}
	in = assay_rd(assay_bytes(all.data + r->tip_end, all.len - (size_t)r->tip_end));
	while (rc == 0 && !assay_rd_end(&in)) {
		bool is_step;

		rc = assay_record_parse(&in, &form, &record, err);
		if (rc == 0)
			rc = assay_replay_record(r->tip, &record, r->tip_end, &is_step, NULL, err);
		r->tip_end += record.size;
	}
	if (rc < 0)
		recorder_drop_tip(r);
	return rc;
}

/* A PCR with no step of ours but such as wait is still anybody's. */
static uint32_t used_by_tip(const struct recorder *r, const uint64_t *lack)
{
	const struct assay_segment_head *head = assay_list_file_head(r->list);
	uint32_t used = 0;

	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		if (r->have[p] > 0 ||
		    (lack[p] == 0 && memcmp(assay_replay_value(r->tip, p, ASSAY_EXTEND_REAL),
					    &head->base[p], sizeof(head->base[p])) != 0))
			used |= 1u << p;
	return used;
}

/* ---- announcing ----------------------------------------------------------------------------- */

struct kernel_args {
	uint64_t count, total;
	uint64_t at, index; /* the place; NOWHERE: where the record stands */
};

static void fill_kernel(void *ctx, struct assay_wr *w)
{
	const struct kernel_args *a = ctx;

	assay_state_add_u64(w, "count", a->count);
	if (a->at != NOWHERE) {
		assay_state_add_u64(w, "at", a->at);
		assay_state_add_u64(w, "index", a->index);
	}
	assay_state_add_u64(w, "kernel_total", a->total);
}

static int announce(struct recorder *r, struct assay_rd *in, uint64_t n, uint64_t at,
		    struct assay_err *err)
{
	struct kernel_args args = { n, r->kernel_total + n, at, assay_core_records(r->core) };
	int rc = recorder_state_locked(r, "kernel", fill_kernel, &args, false, NULL, err);

	if (rc < 0)
		return rc;
	r->kernel_total += n; /* the announcement says so: adopt_rest() starts from there */
	r->owed = n;
	return recorder_kernel_append(r, in, n, true, err);
}

static int append_plain(struct recorder *r, const struct kernel_list *k, uint64_t n,
			struct assay_err *err)
{
	struct assay_rd in = assay_rd(k->records);
	uint64_t before = assay_core_records(r->core);
	int rc = recorder_kernel_append(r, &in, n, false, err);
	int said;

	r->kernel_total += assay_core_records(r->core) - before;
	said = recorder_adopt_say(r, rc < 0 ? NULL : err); /* also if there was no more room */
	return rc < 0 ? rc : said;
}

static bool lacks_any(const struct assay_merge *m)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		if (assay_merge_lack(m, p) > 0)
			return true;
	return false;
}

/* What the list has where the kernel's records are announced. With the lock. */
struct later_place {
	const struct recorder_where *where;
	bool each, at_end;
	bool waits;		    /* steps of ours that are still to be extended */
	uint64_t unwalked;	    /* steps of ours that the replay did not take yet */
	uint64_t said;		    /* announcements, each a step itself in mode "each" */
	uint64_t floor[ASSAY_PCRS]; /* below which nothing goes since these */
	bool write;		    /* else it is only asked whether all of it can be written */
};

static uint32_t pcrs_of(struct assay_rd in, uint32_t n)
{
	struct assay_record record;
	uint32_t pcrs = 0;

	for (; n > 0 && assay_record_parse(&in, &form, &record, NULL) == 0; n--)
		pcrs |= 1u << record.pcr;
	return pcrs;
}

/* Whether whoever replays the list will be able to put the next @n before entry @at, when he has
 * read what stands before them. No other place is ever written. */
static bool reaches(struct later_place *l, struct assay_rd in, uint32_t n, uint64_t at)
{
	uint32_t pcrs = pcrs_of(in, n);

	if (at == NOWHERE)
		return true;
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		if (pcrs & 1u << p) {
			if (at < l->floor[p])
				return false;
			l->floor[p] = at;
		}
	return assay_replay_reaches(l->where->replay, pcrs, at,
				    l->each ? l->unwalked + l->said + 1 : 0);
}

static struct later_place find_place(struct recorder *r, const struct recorder_where *w,
				     const struct assay_merge *m, bool write)
{
	bool at_end = w->end == assay_list_file_records(r->list).len, each = recorder_is_each(r);

	/* Who writes meanwhile makes no steps in mode "group": batch records are this thread's. */
	return (struct later_place){ .where = w,
				     .each = each,
				     .at_end = at_end,
				     .waits = !at_end || lacks_any(m),
				     .unwalked = assay_core_records(r->core) -
						 assay_replay_records(w->replay),
				     .write = write };
}

/* Those that came before the same entry are announced together. After all that was extended is,
 * with the lock, still before what is written and was not. In mode "each", if no step of ours is
 * behind the kernel's, the list stays in the PCR's order without a word.
 *
 * There an announcement is a step: one that waits behind others. While any wait no more than one is
 * made for each that is extended, or a kernel faster than we are would push what waits out of a
 * replay's reach. The rest, all behind our last extend, is found before the next one. */
static int say_later(struct recorder *r, const struct kernel_list *k, const struct assay_merge *m,
		     struct later_place *l, struct assay_err *err)
{
	struct assay_replay *replay = l->where->replay;
	struct assay_rd in = assay_rd(k->records);
	struct assay_merge_walk walk;
	uint64_t at;
	uint32_t n;
	int rc = 0;

	assay_merge_walk_init(&walk, m, replay, k->records);
	for (; rc == 0; l->said++) {
		bool behind = assay_merge_behind(&walk, m);
		struct assay_rd next = walk.in;

		if (!assay_merge_next(&walk, m, replay, &n, &at))
			break;
		if (at == NOWHERE && l->each && l->at_end && n == m->n && !m->padded)
			return l->write ? append_plain(r, k, n, err) : 0;
		if (at == NOWHERE && (l->each || !l->at_end))
			at = assay_replay_records(replay);
		if (l->each && l->said > 0 && l->waits && behind && !l->where->all)
			break;
		if (!reaches(l, next, n, at))
			return l->said > 0 && behind ? 0 : -ERANGE;
		if (l->write)
			rc = announce(r, &in, n, at, err);
	}
	return rc;
}

/* -ERANGE: too much waits; nothing is written. */
static int append_later(struct recorder *r, const struct kernel_list *k,
			const struct assay_merge *m, const struct recorder_where *w,
			struct assay_err *err)
{
	struct later_place l = find_place(r, w, m, false);
	int rc = say_later(r, k, m, &l, err);

	if (rc < 0)
		return rc;
	l = find_place(r, w, m, true);
	return say_later(r, k, m, &l, err);
}

/* The walk goes on where it is, or begins anew if it was not known which of our steps are still to
 * be extended, and some are. */
static int settle(struct recorder *r, const struct assay_merge *m, const struct recorder_where *w,
		  struct assay_err *err)
{
	r->placed = true;
	r->padded |= m->padded;
	r->check_from = assay_list_file_records(r->list).len;
	if (w->lack)
		return 0;
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		r->have[p] -= assay_merge_lack(m, p);
	return lacks_any(m) ? recorder_rewind(r, err) : 0;
}

static int take_over(struct recorder *r, const struct kernel_list *k, const struct assay_merge *m,
		     const struct recorder_where *w, struct assay_err *err)
{
	int rc;

	pthread_mutex_lock(&r->lock);
	rc = append_later(r, k, m, w, err);
	pthread_mutex_unlock(&r->lock);
	r->displaced |= rc < 0 && rc != -ERANGE;
	return rc < 0 ? rc : settle(r, m, w, err);
}

/* ---- finding -------------------------------------------------------------------------------- */

/* Reads the list once more after each look at the PCRs: it then has what they have, or more. *ret
 * NULL: it cannot be used. */
static int load_later(struct recorder *r, uint64_t skip, struct recorder_seen *seen, uint32_t used,
		      struct kernel_list **ret, struct assay_err *err)
{
	for (;;) {
		AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));
		int rc;

		*ret = NULL;
		if (!k)
			return assay_err_set(err, -ENOMEM, "no memory for the kernel's list");
		if (recorder_kernel_load(r, skip, k, NULL) < 0)
			return 0;
		r->kernel_pcrs |= k->pcrs;
		if (((used | k->pcrs) & ~seen->pcrs) == 0) {
			*ret = TAKE(k);
			return 0;
		}
		rc = recorder_read_pcrs_of(r, used | k->pcrs, seen, err);
		if (rc < 0)
			return rc;
	}
}

/* Those after the first @skip. *ret_n: how many were taken over. */
static int try_later(struct recorder *r, uint64_t skip, struct recorder_seen *seen,
		     const struct recorder_where *w, bool *ret_done, uint32_t *ret_n,
		     struct assay_err *err)
{
	AUTO(kernel_list) struct kernel_list *k = NULL;
	uint64_t total = r->kernel_total;
	struct assay_merge_input in;
	struct assay_merge m;
	int rc = load_later(r, skip, seen, w->used, &k, err);

	if (rc < 0 || !k)
		return rc;
	in = (struct assay_merge_input){ seen->pcr, w->used | k->pcrs, k->records, w->most,
					 w->lack };
	rc = assay_merge_find(&r->config.crypto, &seen->banks, w->replay, &in, &m);
	if (rc == -ENOMEM)
		return assay_err_set(err, rc, "no memory to order the kernel's records");
	if (rc < 0)
		return 0;
	*ret_n = m.n;
	if (m.n == 0) { /* counted, and not extended yet */
		*ret_done = r->placed = w->lack != NULL;
		return 0;
	}
	r->kernel_total = skip;
	rc = take_over(r, k, &m, w, err);
	*ret_done = rc != -ERANGE;
	if (*ret_done)
		return rc;
	r->kernel_total = total;
	recorder_log(r, LOG_WARNING,
		     "the kernel extended before entries of the list that are too far back");
	return 0;
}

/* A kernel that another one has started (kexec) begins a list of its own, or goes on with that of
 * the other; the PCRs know nothing of it. */
int recorder_adopt_later(struct recorder *r, struct recorder_seen *seen,
			 const struct recorder_where *w, bool *ret_done, struct assay_err *err)
{
	uint32_t n = 0;
	int rc;

	*ret_done = false;
	if (!r->config.kernel_list)
		return 0;
	rc = try_later(r, r->kernel_total, seen, w, ret_done, &n, err);
	if (rc == 0 && !*ret_done && r->kernel_doubt > 0)
		rc = try_later(r, r->kernel_total - r->kernel_doubt, seen, w, ret_done, &n, err);
	if (rc == 0 && !*ret_done && r->past.other_boot)
		rc = try_later(r, 0, seen, w, ret_done, &n, err);
	if (rc == 0 && *ret_done && n > 0) {
		r->past.other_boot = false;
		r->kernel_doubt = 0;
	}
	return rc;
}

int recorder_look(struct recorder *r, struct recorder_seen *seen, bool all, bool *ret_done,
		  struct assay_err *err)
{
	struct recorder_where w = { .all = all };
	uint64_t lack[ASSAY_PCRS];
	int rc = 0;

	*ret_done = false;
	if (r->config.kernel_list)
		rc = take_tip(r, err);
	if (rc < 0 || !r->config.kernel_list)
		return rc;
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		lack[p] = assay_replay_steps(r->tip, p) - r->have[p];
	w.replay = r->tip;
	w.end = r->tip_end;
	w.lack = lack;
	w.used = used_by_tip(r, lack);
	if ((w.used | r->kernel_pcrs) & ~seen->pcrs)
		rc = recorder_read_pcrs_of(r, w.used | r->kernel_pcrs, seen, err);
	return rc < 0 ? rc : recorder_adopt_later(r, seen, &w, ret_done, err);
}

int recorder_look_again(struct recorder *r, bool *ret_looked, struct assay_err *err)
{
	struct recorder_seen seen = { 0 };
	bool done = true;
	int rc = 0;

	*ret_looked = false;
	if (r->cursor < r->check_from && !r->placed && recorder_kernel_moved(r))
		rc = recorder_look(r, &seen, false, &done, err);
	if (rc < 0 || done)
		return rc;
	*ret_looked = true;
	rc = recorder_place(r, false, NULL, err);
	r->placed = rc == 0;
	return rc;
}
