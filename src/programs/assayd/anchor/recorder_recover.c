/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding the place: after a start, and after a command whose outcome is unknown. The decision is
 * engine/recover.c's; here it is made so.
 */
#include "programs/assayd/anchor/recorder_private.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/fmt.h"

#define ALL_PCRS   ((1u << ASSAY_PCRS) - 1)
#define READ_TRIES 10 /* while the TPM says "not now", or its counts change between the clocks */

static int read_some(struct recorder *r, uint32_t pcrs, struct recorder_seen *ret,
		     struct assay_err *err)
{
	const struct assay_anchor *a = &r->config.anchor;
	int rc = 0;

	for (unsigned i = 0; i < READ_TRIES; i++) {
		rc = a->ops->read(a->ctx, pcrs, ret->pcr, &ret->clock, err);
		if (rc != -EAGAIN)
			break;
	}
	return rc;
}

int recorder_read_pcrs_of(struct recorder *r, uint32_t pcrs, struct recorder_seen *ret,
			  struct assay_err *err)
{
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->pcrs = pcrs;
	if (!recorder_has_anchor(r))
		return 0;
	rc = r->config.anchor.ops->banks(r->config.anchor.ctx, &ret->banks, err);
	if (rc == 0)
		rc = read_some(r, pcrs, ret, err);
	r->last_check_ns = assay_clock_ns();
	r->suspended_ns = recorder_suspended_ns();
	return rc;
}

/* A kernel that extends all the time leaves no moment for so many: then they are read one by one,
 * and those that move are read together at the end. At a start the kernel's list tells which. */
int recorder_read(struct recorder *r, struct recorder_seen *ret, struct assay_err *err)
{
	int rc = recorder_read_pcrs_of(r, ALL_PCRS, ret, err);

	if (rc != -EAGAIN)
		return rc;
	rc = 0;
	for (uint32_t p = 0; rc == 0 && p < ASSAY_PCRS; p++)
		rc = read_some(r, 1u << p, ret, err);
	if (rc < 0)
		return rc;
	return read_some(r, recorder_used(r) | recorder_kernel_pcrs(r) | 1u << r->config.core.pcr,
			 ret, err);
}

uint32_t recorder_used(const struct recorder *r)
{
	const struct assay_segment_head *head = assay_list_file_head(r->list);
	uint32_t used = 0;

	for (uint32_t p = 0; r->replay && head && p < ASSAY_PCRS; p++)
		if (r->seen[p] > 0 || memcmp(assay_replay_value(r->replay, p, ASSAY_EXTEND_REAL),
					     &head->base[p], sizeof(head->base[p])) != 0)
			used |= 1u << p;
	return used;
}

/* What @pcr must hold now by the replay. */
static void value_now(const struct recorder *r, uint32_t pcr, struct assay_pcr_value *ret)
{
	struct assay_pcr_value padded;

	assay_replay_pcr(r->replay, pcr, ASSAY_EXTEND_REAL, ret);
	assay_replay_pcr(r->replay, pcr, ASSAY_EXTEND_PADDED_FF, &padded);
	for (uint32_t i = 0; i < ASSAY_BANKS_MAX; i++)
		if (r->padded & 1u << i)
			memcpy(ret->value[i], padded.value[i], sizeof(ret->value[i]));
}

int recorder_rewind(struct recorder *r, struct assay_err *err)
{
	const struct assay_segment_head *head = assay_list_file_head(r->list);
	int rc;

	assay_replay_free(TAKE(r->replay));
	recorder_drop_tip(r);
	r->places++;
	r->cursor = r->taken = 0;
	r->check_from = assay_list_file_records(r->list).len;
	memset(r->seen, 0, sizeof(r->seen));
	rc = assay_replay_new(&r->config.crypto, &head->banks, head->base, &r->replay);
	return rc < 0 ? assay_err_set(err, rc, "cannot replay the list") : 0;
}

/* The cursor goes to the end if nothing is missing, else to the start. */
static int go_on(struct recorder *r, const struct assay_recover_plan *plan,
		 struct assay_replay *at_end, struct assay_err *err)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		r->have[p] = plan->pcr[p].found;
		r->seen[p] = plan->pcr[p].steps;
	}
	assay_replay_free(r->replay);
	r->replay = at_end;
	r->cursor = r->taken = r->check_from = r->looked;
	r->places++;
	recorder_drop_tip(r);
	return plan->missing ? recorder_rewind(r, err) : 0;
}

struct recovery_args {
	const char *why;
	const struct assay_recover_plan *plan;
	const struct recorder_seen *seen;
};

static void fill_recovery(void *ctx, struct assay_wr *w)
{
	const struct recovery_args *a = ctx;

	assay_state_add(w, "why", assay_bytes_str(a->why));
	assay_state_add_u64(w, "missing", a->plan->missing);
	recorder_state_clock(w, &a->seen->clock);
}

/* The first time there is no core yet: the list is read into one. */
static int ensure_core(struct recorder *r, const struct recorder_seen *seen,
		       const struct assay_recover_plan *plan, struct assay_err *err)
{
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	if (!r->core)
		rc = recorder_load_core(r, &seen->banks, plan, err);
	r->counts.segment = assay_list_file_head(r->list)->number;
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* A start, or a recovery of a run, is in the list. */
static int note(struct recorder *r, const struct recorder_seen *seen,
		const struct assay_recover_plan *plan, const char *why, struct assay_err *err)
{
	struct recovery_args args = { why, plan, seen };
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	if (!r->has_thread)
		rc = recorder_state_start(r, recorder_has_anchor(r) ? &seen->clock : NULL, plan,
					  err);
	else if (why)
		rc = recorder_state_locked(r, "recovery", fill_recovery, &args, true, NULL, err);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

static int break_segment(struct recorder *r, struct recorder_seen *seen,
			 const struct assay_recover_plan *plan, struct assay_err *err)
{
	bool reset = plan->verdict == ASSAY_RECOVER_RESET;
	int rc;

	recorder_log(r, reset ? LOG_NOTICE : LOG_ERR, "%s%s: a new segment begins",
		     reset ? "the PCRs went back to their initial values"
			   : "list and PCRs do not agree: ",
		     reset ? "" : plan->why);
	/* What the closed segment says of its end is told in the new one. */
	rc = ensure_core(r, seen, plan, err);
	if (rc == 0)
		rc = recorder_begin_segment(r, reset ? ASSAY_SEGMENT_RESET : ASSAY_SEGMENT_BROKEN,
					    seen, reset ? "reset" : plan->why, err);
	return rc < 0 ? rc : note(r, seen, NULL, NULL, err);
}

/* The first segment of a list. */
static int begin_list(struct recorder *r, struct recorder_seen *seen, struct assay_err *err)
{
	int rc = recorder_begin_segment(r, ASSAY_SEGMENT_FIRST, seen, "first", err);

	return rc < 0 ? rc : note(r, seen, NULL, NULL, err);
}

/* The kernel may have measured while nobody looked. */
static int try_kernel(struct recorder *r, struct recorder_seen *seen,
		      struct assay_recover_plan *plan, struct assay_replay *at_end, bool *ret_done,
		      struct assay_err *err)
{
	struct recorder_where w = { .replay = at_end, .end = r->looked, .most = ASSAY_TAIL_MAX };
	int rc;

	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		plan->pcr[p].found = plan->pcr[p].steps;
	plan->missing = 0;
	rc = go_on(r, plan, at_end, err);
	if (rc == 0)
		rc = ensure_core(r, seen, plan, err);
	if (rc == 0 && !r->has_thread)
		rc = recorder_adopt_unsaid(r, err);
	if (rc < 0)
		return rc;
	w.used = recorder_used(r);
	return recorder_adopt_later(r, seen, &w, ret_done, err);
}

static int look(struct recorder *r, const struct recorder_seen *seen,
		struct assay_recover_plan *plan, struct assay_replay **ret, struct assay_err *err)
{
	struct assay_recover_input in = { .head = assay_list_file_head(r->list),
					  .records = assay_list_file_records(r->list),
					  .banks = seen->banks,
					  .observed = seen->pcr,
					  .clock = seen->clock };

	r->looked = in.records.len; /* others write meanwhile */
	assay_replay_free(TAKE(*ret));
	return assay_recover_decide(&r->config.crypto, &in, plan, ret, err);
}

/* A run was killed after it had announced records of the kernel's, before it had written them.
 * Nothing else may come next: it would be taken for the kernel's. */
static int finish_announced(struct recorder *r, const struct recorder_seen *seen,
			    struct assay_recover_plan *plan, struct assay_replay **replay,
			    struct assay_err *err)
{
	int rc = ensure_core(r, seen, plan, err);

	if (rc == 0)
		rc = recorder_adopt_rest(r, assay_replay_kernel_left(*replay), err);
	if (rc == 0)
		rc = look(r, seen, plan, replay, err);
	if (rc < 0 || assay_replay_kernel_left(*replay) == 0)
		return rc;
	assay_fmt(plan->why, sizeof(plan->why),
		  "records of the kernel's that the list announces are not there");
	plan->verdict = ASSAY_RECOVER_BROKEN;
	assay_replay_free(TAKE(*replay));
	return 0;
}

/* The PCRs have what the list says, or lack some of the last steps. */
static int resume(struct recorder *r, const struct recorder_seen *seen,
		  const struct assay_recover_plan *plan, struct assay_replay *at_end,
		  struct assay_err *err)
{
	int rc;

	r->padded = plan->padded;
	rc = go_on(r, plan, at_end, err);
	if (rc == 0)
		rc = ensure_core(r, seen, plan, err);
	if (rc == 0 && !r->has_thread && plan->missing == 0) /* what is the kernel's is extended */
		rc = recorder_adopt_unsaid(r, err);
	if (rc < 0 || r->has_thread || r->kernel_doubt == 0)
		return rc;
	pthread_mutex_lock(&r->lock);
	rc = recorder_adopt_say(r, err);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

static int take_place(struct recorder *r, struct recorder_seen *seen, const char *why,
		      struct assay_err *err)
{
	AUTO(replay) struct assay_replay *replay = NULL;
	struct assay_recover_plan plan;
	bool adopted = false;
	int rc = look(r, seen, &plan, &replay, err);

	if (rc == 0 && replay && assay_replay_kernel_left(replay) > 0)
		rc = finish_announced(r, seen, &plan, &replay, err);
	if (rc < 0)
		return rc;
	if (plan.verdict == ASSAY_RECOVER_CONTINUE) {
		rc = resume(r, seen, &plan, TAKE(replay), err);
		return rc < 0 ? rc : note(r, seen, &plan, why, err);
	}
	if (plan.verdict == ASSAY_RECOVER_BROKEN && replay && r->config.kernel_list) {
		rc = try_kernel(r, seen, &plan, TAKE(replay), &adopted, err);
		if (rc < 0 || adopted)
			return rc < 0 ? rc : note(r, seen, &plan, why, err);
	}
	return break_segment(r, seen, &plan, err);
}

/* Between its beginning and its end the walk may stand behind steps that no PCR has. */
static int decide(struct recorder *r, struct recorder_seen *seen, const char *why,
		  struct assay_err *err)
{
	int rc;

	r->displaced = true;
	rc = take_place(r, seen, why, err);
	r->displaced = rc < 0;
	return rc;
}

int recorder_place(struct recorder *r, bool reopen, const char *why, struct assay_err *err)
{
	const struct assay_anchor *a = &r->config.anchor;
	struct recorder_seen seen;
	int rc = 0;

	if (reopen && recorder_has_anchor(r))
		rc = a->ops->reopen(a->ctx, err);
	if (rc == 0)
		rc = recorder_read(r, &seen, err);
	if (rc < 0)
		return rc;
	if (!assay_list_file_head(r->list))
		rc = begin_list(r, &seen, err);
	else if (r->carried.unfinished)
		rc = recorder_begin_segment(r, r->carried.start, &seen, r->carried.why, err);
	else
		rc = decide(r, &seen, why, err);
	if (rc < 0)
		return rc;
	r->displaced = false;
	recorder_publish(r);
	return 0;
}

static bool agrees(struct recorder *r, const struct recorder_seen *seen)
{
	struct assay_pcr_value value;

	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		if (!(seen->pcrs & 1u << p))
			continue;
		value_now(r, p, &value);
		for (uint32_t i = 0; i < seen->banks.n; i++)
			if (memcmp(value.value[i], seen->pcr[p].value[i],
				   assay_hash_size(seen->banks.alg[i])) != 0)
				return false;
	}
	return true;
}

int recorder_check(struct recorder *r, bool all, struct assay_err *err)
{
	struct recorder_seen seen;
	bool done = false, same;
	int rc;

	/* The walk is not over the segment that is there, or not where it should be. */
	if (r->carried.unfinished || r->displaced)
		return recorder_place(r, false, NULL, err);
	if (!recorder_has_anchor(r))
		return 0;
	if (r->cursor < r->check_from) {
		seen.pcrs = 0;
		return all ? recorder_look(r, &seen, all, &done, err) : 0;
	}
	rc = recorder_read_pcrs_of(r, recorder_used(r), &seen, err);
	if (rc < 0)
		return rc;
	same = agrees(r, &seen);
	if (same && !recorder_kernel_moved(r))
		return 0;
	rc = recorder_look(r, &seen, all, &done, err);
	if (rc < 0 || done || same)
		return rc;
	rc = recorder_read(r, &seen, err);
	return rc < 0 ? rc : decide(r, &seen, "the PCRs changed", err);
}
