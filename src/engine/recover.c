/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/recover.h"

#include <errno.h>

#include "base/fmt.h"

#define NOWHERE UINT64_MAX

/* Where a PCR was seen. */
enum where {
	WHERE_LOST,  /* at no step, or banks at different ones */
	WHERE_ZERO,  /* at no step, but at the value of a TPM reset */
	WHERE_START, /* at the segment's base, or where the kernel was before our first record */
	WHERE_STEP,  /* after one or more steps */
};

/* Per bank, after how many steps the replayed value was the observed one. A hash chain does not
 * come back, so there is at most one such number. */
struct search {
	const struct assay_recover_input *in;
	struct assay_replay *replay;
	uint64_t at[ASSAY_PCRS][ASSAY_BANKS_MAX];
	uint64_t opening[ASSAY_PCRS]; /* steps before our first record: a kernel boots and makes
				       * the same ones again */
};

static bool bank_equal(const struct search *s, uint32_t bank, const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, assay_hash_size(s->in->banks.alg[bank])) == 0;
}

/* Looks whether @pcr held what was observed when it held @real or @padded, after @steps steps. */
static void compare_with(struct search *s, uint32_t pcr, uint64_t steps,
			 const struct assay_pcr_value *real, const struct assay_pcr_value *padded,
			 struct assay_recover_plan *plan)
{
	const struct assay_pcr_value *seen = &s->in->observed[pcr];

	for (uint32_t i = 0; i < s->in->banks.n; i++) {
		bool is_real = bank_equal(s, i, real->value[i], seen->value[i]);

		if (!is_real && !bank_equal(s, i, padded->value[i], seen->value[i]))
			continue;
		s->at[pcr][i] = steps;
		if (!is_real)
			plan->padded |= 1u << i;
	}
}

static void compare(struct search *s, uint32_t pcr, uint64_t steps, struct assay_recover_plan *plan)
{
	compare_with(s, pcr, steps, assay_replay_value(s->replay, pcr, ASSAY_EXTEND_REAL),
		     assay_replay_value(s->replay, pcr, ASSAY_EXTEND_PADDED_FF), plan);
}

/* An announced record of the kernel's stands in the list because a PCR had it: no value without it
 * counts any more. It was extended before the last steps, and each of them may be missing. */
static void take_kernel(struct search *s, uint32_t pcr, struct assay_recover_plan *plan)
{
	uint64_t steps = plan->pcr[pcr].steps;

	for (uint32_t i = 0; i < ASSAY_BANKS_MAX; i++)
		s->at[pcr][i] = NOWHERE;
	for (uint32_t back = assay_replay_behind(s->replay); back > 0; back--) {
		const struct assay_tail_step *t = assay_replay_tail(s->replay, pcr, back);

		compare_with(s, pcr, steps - back, &t->before[ASSAY_EXTEND_REAL],
			     &t->before[ASSAY_EXTEND_PADDED_FF], plan);
	}
	compare(s, pcr, steps, plan);
}

static void take_step(struct search *s, const struct assay_step *step,
		      struct assay_recover_plan *plan)
{
	struct assay_recover_place *place = &plan->pcr[step->pcr];

	if (step->kernel) {
		place->kernel = true;
		take_kernel(s, step->pcr, plan);
		return;
	}
	place->upto = step->upto;
	compare(s, step->pcr, ++place->steps, plan);
}

static int walk(struct search *s, struct assay_recover_plan *plan, struct assay_err *err)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_rd in = assay_rd(s->in->records);
	struct assay_record record;
	struct assay_step step;
	bool is_step, ours = false;
	int rc;

	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		for (uint32_t i = 0; i < ASSAY_BANKS_MAX; i++)
			s->at[p][i] = NOWHERE;
		compare(s, p, 0, plan);
	}
	while (!assay_rd_end(&in)) {
		uint64_t offset = assay_rd_offset(&in);

		rc = assay_record_parse(&in, &form, &record, err);
		if (rc == 0 && record.pcr >= ASSAY_PCRS)
			rc = assay_err_at(err, -EBADMSG, offset, "an entry of PCR %u", record.pcr);
		if (rc == 0)
			rc = assay_replay_record(s->replay, &record, offset, &is_step, &step, err);
		if (rc < 0)
			return rc;
		if (is_step)
			take_step(s, &step, plan);
		ours |= assay_replay_state(s->replay).len > 0;
		if (is_step && !ours)
			s->opening[step.pcr] = plan->pcr[step.pcr].steps;
		plan->records++;
	}
	return 0;
}

static bool is_zero(const struct search *s, uint32_t pcr)
{
	const struct assay_banks *banks = &s->in->banks;

	for (uint32_t i = 0; i < banks->n; i++)
		if (!assay_bytes_all(assay_bytes(s->in->observed[pcr].value[i],
						 assay_hash_size(banks->alg[i])),
				     0))
			return false;
	return true;
}

static enum where locate(const struct search *s, uint32_t pcr, struct assay_recover_plan *plan)
{
	const struct assay_banks *banks = &s->in->banks;
	uint64_t first = s->at[pcr][0];

	if (banks->n == 0) { /* no TPM: there is nothing to extend */
		plan->pcr[pcr].found = plan->pcr[pcr].steps;
		return WHERE_STEP;
	}
	for (uint32_t i = 1; i < banks->n; i++) {
		if (s->at[pcr][i] == first)
			continue;
		assay_fmt(plan->why, sizeof(plan->why), "PCR %u: banks %s and %s disagree", pcr,
			  assay_hash_name(banks->alg[0]), assay_hash_name(banks->alg[i]));
		return WHERE_LOST;
	}
	if (first != NOWHERE) {
		plan->pcr[pcr].found = first;
		return first > s->opening[pcr] || plan->pcr[pcr].kernel ? WHERE_STEP : WHERE_START;
	}
	assay_fmt(plan->why, sizeof(plan->why), "PCR %u holds a value that no part of the list has",
		  pcr);
	return is_zero(s, pcr) ? WHERE_ZERO : WHERE_LOST;
}

/* PCRs without a step in this segment are anybody's. Another resetCount is a reset, whatever the
 * PCRs hold: a kernel that has booted may have made them what they were in the list's beginning. */
static void judge(const struct search *s, bool reset, struct assay_recover_plan *plan)
{
	uint32_t count[WHERE_STEP + 1] = { 0 }, used = 0;

	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		if (plan->pcr[p].steps == 0 && !plan->pcr[p].kernel)
			continue;
		used++;
		count[locate(s, p, plan)]++;
		plan->missing += plan->pcr[p].steps - plan->pcr[p].found;
	}
	if (reset)
		plan->verdict = ASSAY_RECOVER_RESET;
	else if (count[WHERE_START] + count[WHERE_STEP] == used &&
		 (!plan->counts_changed || count[WHERE_STEP] > 0))
		plan->verdict = ASSAY_RECOVER_CONTINUE;
	else if (plan->counts_changed && count[WHERE_STEP] == 0 && count[WHERE_LOST] == 0)
		plan->verdict = ASSAY_RECOVER_RESET;
}

int assay_recover_decide(const struct assay_crypto *crypto, const struct assay_recover_input *in,
			 struct assay_recover_plan *ret, struct assay_replay **ret_replay,
			 struct assay_err *err)
{
	bool reset = in->clock.reset_count != in->head->clock.reset_count;
	struct assay_recover_plan plan = { .verdict = ASSAY_RECOVER_BROKEN };
	AUTO(replay) struct assay_replay *replay = NULL;
	struct search s = { .in = in };
	int rc;

	plan.counts_changed = reset || in->clock.restart_count != in->head->clock.restart_count;
	if (!assay_banks_equal(&in->banks, &in->head->banks)) {
		plan.verdict = reset ? ASSAY_RECOVER_RESET : ASSAY_RECOVER_BROKEN;
		assay_fmt(plan.why, sizeof(plan.why), "the TPM's banks are not the segment's");
		*ret = plan;
		*ret_replay = NULL;
		return 0;
	}
	rc = assay_replay_new(crypto, &in->banks, in->head->base, &replay);
	if (rc < 0)
		return assay_err_set(err, rc, "cannot replay the list");
	assay_replay_set_own(replay);
	s.replay = replay;
	rc = walk(&s, &plan, err);
	if (rc < 0)
		return rc;
	judge(&s, reset, &plan);
	*ret = plan;
	*ret_replay = TAKE(replay);
	return 0;
}
