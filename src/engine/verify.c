/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/verify.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hex.h"
#include "formats/batch.h"

#define PCRS (ASSAY_RECORD_PCR_MAX + 1)

struct claim {
	struct assay_pcr_claim said;
	struct assay_reach reach;
	uint32_t bank; /* index in the replay's banks */
};

struct pcr_count {
	uint64_t entries, steps;
	uint64_t first_step; /* index of the record */
};

struct assay_verify {
	struct assay_replay *replay;
	struct assay_checker checker;
	struct assay_banks banks;
	bool padded;
	uint32_t base_set; /* bit per PCR that did not begin at zero, in a bank of ours */
	uint8_t head[32];
	bool has_head, head_met, head_said; /* met: an entry says what a head is */
	uint32_t head_pcr;		    /* where the record stands that says it */
	uint64_t head_index;
	uint64_t violations, bare_violations, boot_aggregates;
	struct pcr_count pcr[PCRS];
	uint32_t claims_of[PCRS]; /* how many */
	size_t n_claims;
	struct claim claims[];
};

/* ---- setting up ----------------------------------------------------------------------------- */

static int bank_of(struct assay_banks *banks, enum assay_hash alg, uint32_t *ret,
		   struct assay_err *err)
{
	for (uint32_t i = 0; i < banks->n; i++) {
		if (banks->alg[i] != alg)
			continue;
		*ret = i;
		return 0;
	}
	if (banks->n == ASSAY_BANKS_MAX)
		return assay_err_set(err, -E2BIG, "more than %u PCR banks", ASSAY_BANKS_MAX);
	*ret = banks->n;
	banks->alg[banks->n++] = alg;
	return 0;
}

static int add_claim(struct assay_verify *v, const struct assay_pcr_claim *said,
		     struct assay_err *err)
{
	struct claim *c = &v->claims[v->n_claims];

	if (said->pcr >= PCRS || assay_hash_size(said->alg) == 0)
		return assay_err_set(err, -EINVAL, "there is no PCR %u", said->pcr);
	for (size_t i = 0; i < v->n_claims; i++)
		if (v->claims[i].said.alg == said->alg && v->claims[i].said.pcr == said->pcr)
			return assay_err_set(err, -EINVAL, "two values for PCR %u of bank %s",
					     said->pcr, assay_hash_name(said->alg));
	*c = (struct claim){ .said = *said };
	v->claims_of[said->pcr]++;
	v->n_claims++;
	return bank_of(&v->banks, said->alg, &c->bank, err);
}

/* With no claims, the banks whose digests a batch record is most likely to have; and one of the
 * segment's, if its TPM had neither. */
static int choose_banks(struct assay_verify *v, const struct assay_banks *segment,
			struct assay_err *err)
{
	uint32_t ignored;

	if (v->n_claims)
		return 0;
	if (segment->n && !assay_banks_find(segment, ASSAY_HASH_SHA1, NULL) &&
	    !assay_banks_find(segment, ASSAY_HASH_SHA256, NULL))
		return bank_of(&v->banks, segment->alg[0], &ignored, err);
	return bank_of(&v->banks, ASSAY_HASH_SHA1, &ignored, err) < 0
		       ? -E2BIG
		       : bank_of(&v->banks, ASSAY_HASH_SHA256, &ignored, err);
}

/* The base, in the order of our banks. */
static int map_base(const struct assay_verify *v, const struct assay_verify_config *config,
		    struct assay_pcr_value to[ASSAY_PCRS], struct assay_err *err)
{
	for (uint32_t i = 0; i < v->banks.n; i++) {
		struct assay_banks from = config->base_banks;
		uint32_t at = 0;

		if (bank_of(&from, v->banks.alg[i], &at, err) < 0 || at >= config->base_banks.n) {
			if (v->n_claims == 0)
				continue;
			return assay_err_set(err, -EOPNOTSUPP,
					     "the segment has no first values of bank %s",
					     assay_hash_name(v->banks.alg[i]));
		}
		for (unsigned p = 0; p < ASSAY_PCRS; p++)
			memcpy(to[p].value[i], config->base[p].value[at], ASSAY_HASH_SIZE_MAX);
	}
	return 0;
}

static uint32_t base_mask(const struct assay_verify *v,
			  const struct assay_pcr_value base[ASSAY_PCRS])
{
	uint32_t mask = 0;

	for (unsigned p = 0; p < ASSAY_PCRS; p++)
		for (uint32_t i = 0; i < v->banks.n; i++)
			if (!assay_bytes_all(assay_bytes(base[p].value[i], ASSAY_HASH_SIZE_MAX), 0))
				mask |= 1u << p;
	return mask;
}

static int start_replay(struct assay_verify *v, const struct assay_verify_config *config,
			struct assay_err *err)
{
	struct assay_pcr_value base[ASSAY_PCRS] = { 0 };
	int r = config->base ? map_base(v, config, base, err) : 0;

	if (r < 0)
		return r;
	v->base_set = base_mask(v, base);
	r = assay_replay_new(&config->crypto, &v->banks, base, &v->replay);
	if (r == 0)
		r = assay_replay_set_form(v->replay, &config->form);
	if (r == 0)
		r = assay_checker_init(&v->checker, &config->crypto, &v->banks, &config->form,
				       config->padded);
	if (r < 0)
		return assay_err_set(err, r, "cannot compute the hashes of these banks");
	v->checker.column_as_stated = config->quick;
	for (unsigned kind = 1; kind < ASSAY_EXTEND_KIND_COUNT; kind++)
		assay_replay_follow(v->replay, (enum assay_extend_kind)kind, config->padded);
	if (config->anchored)
		assay_replay_set_anchored(v->replay);
	return 0;
}

/* A claim that is the PCR's value before the first record. */
static void match_base(struct assay_verify *v)
{
	for (size_t i = 0; i < v->n_claims; i++) {
		struct claim *c = &v->claims[i];
		struct assay_pcr_value value;

		assay_replay_pcr(v->replay, c->said.pcr, ASSAY_EXTEND_REAL, &value);
		c->reach.next = UINT64_MAX;
		c->reach.reached = memcmp(value.value[c->bank], c->said.value,
					  assay_hash_size(c->said.alg)) == 0;
	}
}

int assay_verify_new(const struct assay_verify_config *config, struct assay_verify **ret,
		     struct assay_err *err)
{
	AUTO(verify) struct assay_verify *v = NULL;
	int r = 0;

	if (config->size != sizeof(*config))
		return assay_err_set(err, -EINVAL, "configuration of another version");
	if (config->n_claims > ASSAY_CLAIMS_MAX)
		return assay_err_set(err, -E2BIG, "more than %u PCR values", ASSAY_CLAIMS_MAX);
	v = calloc(1, sizeof(*v) + config->n_claims * sizeof(v->claims[0]));
	if (!v)
		return assay_err_set(err, -ENOMEM, "out of memory");
	v->padded = config->padded;
	v->has_head = config->head;
	if (config->head)
		memcpy(v->head, config->head, sizeof(v->head));
	for (size_t i = 0; r == 0 && i < config->n_claims; i++)
		r = add_claim(v, &config->claims[i], err);
	if (r == 0)
		r = choose_banks(v, &config->base_banks, err);
	if (r == 0)
		r = start_replay(v, config, err);
	if (r < 0)
		return r;
	match_base(v);
	*ret = TAKE(v);
	return 0;
}

void assay_verify_free(struct assay_verify *v)
{
	if (!v)
		return;
	assay_replay_free(v->replay);
	free(v);
}

const struct assay_checker *assay_verify_checker(const struct assay_verify *v)
{
	return &v->checker;
}

const struct assay_replay *assay_verify_replay(const struct assay_verify *v)
{
	return v->replay;
}

/* ---- record by record ----------------------------------------------------------------------- */

static bool is_value(const struct claim *c, const struct assay_pcr_value *value)
{
	return memcmp(value->value[c->bank], c->said.value, assay_hash_size(c->said.alg)) == 0;
}

/* The last record was put before steps that the list has before it: the PCR may have had the one
 * and not yet the others. What it would have held without the record it never held. */
static void match_before(struct assay_verify *v, struct claim *c, uint64_t index, unsigned kinds)
{
	uint32_t pcr = c->said.pcr, behind = assay_replay_behind(v->replay);
	const struct pcr_count *n = &v->pcr[pcr];
	uint64_t unproved = assay_replay_pending_pcr(v->replay, pcr, NULL);

	if (c->reach.steps + behind >= n->steps)
		c->reach.reached = false;
	for (uint32_t back = 1; back <= behind; back++) {
		const struct assay_tail_step *t = assay_replay_tail(v->replay, pcr, back);

		unproved += t->covers;
		for (unsigned kind = 0; kind < kinds; kind++)
			if (is_value(c, &t->before[kind]))
				c->reach = (struct assay_reach){
					.reached = true,
					.kind = (enum assay_extend_kind)kind,
					.steps = n->steps - back,
					.index = index,
					.next = t->index,
					.proved = n->entries - unproved,
				};
	}
}

static void match_claim(struct assay_verify *v, struct claim *c, uint64_t index)
{
	const struct pcr_count *n = &v->pcr[c->said.pcr];
	unsigned kinds = v->padded ? ASSAY_EXTEND_KIND_COUNT : 1;

	for (unsigned kind = 0; kind < kinds; kind++) {
		if (!is_value(c, assay_replay_value(v->replay, c->said.pcr,
						    (enum assay_extend_kind)kind)))
			continue;
		c->reach = (struct assay_reach){
			.reached = true,
			.kind = (enum assay_extend_kind)kind,
			.steps = n->steps,
			.index = index,
			.next = UINT64_MAX,
			.proved =
				n->entries - assay_replay_pending_pcr(v->replay, c->said.pcr, NULL),
		};
		return;
	}
	if (assay_replay_behind(v->replay) > 0)
		match_before(v, c, index, kinds);
	else if (c->reach.reached && c->reach.next == UINT64_MAX)
		c->reach.next = index;
}

/* Whether this is the record that vouches for the head. Only the first that speaks of one can: it
 * was extended before anything else ran, a later one may be of whoever broke in since. One that the
 * list makes something else of (announced as the kernel's, or waiting) is met and vouches for
 * nothing. */
static void look_for_head(struct assay_verify *v, const struct assay_record *record, uint64_t index,
			  bool is_step)
{
	char hex[2 * sizeof(v->head) + 1];
	struct assay_bytes state;

	if (!v->has_head || v->head_met || !assay_replay_is_state(v->replay, record, &state) ||
	    !assay_bytes_is(assay_state_get(state, "event"), "segment"))
		return;
	v->head_met = true;
	if (!is_step || assay_replay_state(v->replay).len == 0)
		return;
	assay_hex_encode(assay_bytes(v->head, sizeof(v->head)), hex);
	v->head_said = assay_bytes_is(assay_state_get(state, "head"), hex);
	v->head_pcr = record->pcr;
	v->head_index = index;
}

int assay_verify_record(struct assay_verify *v, const struct assay_record *record, uint64_t offset,
			struct assay_record_digests *digests, struct assay_err *err)
{
	uint64_t index = assay_replay_records(v->replay);
	struct pcr_count *n;
	bool is_step;
	int r;

	r = assay_replay_checked(v->replay, record, offset, digests, &is_step, NULL, err);
	if (r < 0)
		return r;
	n = &v->pcr[record->pcr];
	n->entries++;
	v->violations += record->violation;
	v->boot_aggregates += digests->boot_aggregate;
	look_for_head(v, record, index, is_step);
	if (!is_step)
		return 0;
	v->bare_violations += record->violation;
	if (n->steps++ == 0)
		n->first_step = index;
	if (v->claims_of[record->pcr] == 0)
		return 0;
	for (size_t i = 0; i < v->n_claims; i++)
		if (v->claims[i].said.pcr == record->pcr)
			match_claim(v, &v->claims[i], index);
	return 0;
}

/* ---- the judgement -------------------------------------------------------------------------- */

/* The entries whose steps came before the values that were reached end here, in the order of the
 * extends: a record that was put before others came before those. */
static uint64_t end_of_proved(const struct assay_verify *v, bool *ret_any)
{
	uint64_t end = 0;

	*ret_any = false;
	for (size_t i = 0; i < v->n_claims; i++) {
		const struct assay_reach *r = &v->claims[i].reach;

		if (!r->reached || r->steps == 0)
			continue;
		*ret_any = true;
		if (end <= r->index && end < r->next)
			end = r->index < r->next ? r->index + 1 : r->next;
	}
	return end;
}

static enum assay_pcr_state judge_pcr(const struct assay_verify *v,
				      const struct assay_pcr_finding *f)
{
	uint64_t end;
	bool any;

	if (f->n_claims == 0)
		return ASSAY_PCR_NO_CLAIM;
	for (uint32_t i = 0; i < f->n_claims; i++)
		if (!f->reach[i].reached)
			return ASSAY_PCR_NOT_REACHED;
	for (uint32_t i = 1; i < f->n_claims; i++)
		if (f->reach[i].steps != f->reach[0].steps)
			return ASSAY_PCR_DISAGREE;
	if (f->reach[0].steps || f->entries == 0)
		return ASSAY_PCR_REACHED;
	end = end_of_proved(v, &any);
	return any && (f->steps == 0 || v->pcr[f->pcr].first_step >= end) ? ASSAY_PCR_REACHED
									  : ASSAY_PCR_UNTOUCHED;
}

bool assay_verify_pcr(const struct assay_verify *v, uint32_t pcr, struct assay_pcr_finding *ret)
{
	if (pcr >= PCRS || (v->pcr[pcr].entries == 0 && v->claims_of[pcr] == 0))
		return false;
	*ret = (struct assay_pcr_finding){ .pcr = pcr,
					   .entries = v->pcr[pcr].entries,
					   .steps = v->pcr[pcr].steps };
	for (size_t i = 0; i < v->n_claims; i++) {
		const struct claim *c = &v->claims[i];

		if (c->said.pcr != pcr)
			continue;
		if (c->reach.reached && (!ret->best.reached || c->reach.steps > ret->best.steps))
			ret->best = c->reach;
		ret->claim[ret->n_claims] = &c->said;
		ret->reach[ret->n_claims++] = c->reach;
	}
	ret->uncovered = ret->entries - ret->best.proved;
	ret->state = judge_pcr(v, ret);
	return true;
}

/* All PCRs had their values at one moment: no PCR's next step was before another's last. */
static bool at_one_moment(const struct assay_verify *v)
{
	bool any;
	uint64_t end = end_of_proved(v, &any);

	for (size_t i = 0; any && i < v->n_claims; i++) {
		const struct assay_reach *r = &v->claims[i].reach;
		uint64_t next = r->next;

		if (r->steps == 0)
			continue; /* UNTOUCHED says it */
		if (r->reached && next < end)
			return false;
	}
	return true;
}

bool assay_verify_columns(const struct assay_verify *v)
{
	for (uint32_t pcr = 0; pcr < PCRS; pcr++) {
		struct assay_pcr_finding f;
		bool column = false, other = false;

		if (!assay_verify_pcr(v, pcr, &f) || f.entries == 0)
			continue;
		for (uint32_t i = 0; i < f.n_claims; i++) {
			column |= f.claim[i]->alg == v->checker.form.column;
			other |= f.claim[i]->alg != v->checker.form.column;
		}
		if (f.state != ASSAY_PCR_REACHED || f.uncovered || f.steps != f.entries ||
		    !column || !other || v->padded)
			return false;
	}
	return true;
}

bool assay_verify_proves(const struct assay_verify *v, uint32_t pcr, uint64_t index,
			 uint64_t placed)
{
	struct assay_pcr_finding f;

	return assay_verify_pcr(v, pcr, &f) && f.state == ASSAY_PCR_REACHED && f.best.steps &&
	       index <= f.best.index && (index < f.best.next || placed <= f.best.next);
}

void assay_verify_summary(const struct assay_verify *v, struct assay_verify_summary *ret)
{
	*ret = (struct assay_verify_summary){
		.entries = assay_replay_records(v->replay),
		.violations = v->violations,
		.bare_violations = v->bare_violations,
		.waiting = assay_replay_pending(v->replay),
		.absent = assay_replay_absent(v->replay),
		.batches = assay_replay_batches(v->replay),
		.boot_aggregates = v->boot_aggregates,
		.all_reached = true,
		.one_moment = at_one_moment(v),
		.head_said = v->head_said,
		.base_vouched = v->head_said &&
				assay_verify_proves(v, v->head_pcr, v->head_index, UINT64_MAX),
	};
	for (uint32_t pcr = 0; pcr < PCRS; pcr++) {
		struct assay_pcr_finding f;

		if (!assay_verify_pcr(v, pcr, &f))
			continue;
		ret->uncovered += f.uncovered;
		if (pcr < ASSAY_PCRS && f.entries && f.n_claims && (v->base_set & 1u << pcr))
			ret->base_set = true;
		if (f.state == ASSAY_PCR_REACHED && f.best.steps)
			ret->any_reached = true;
		if (f.state < ASSAY_PCR_NO_CLAIM && f.entries)
			ret->all_reached = false;
		if (f.state == ASSAY_PCR_NOT_REACHED && f.entries && !v->padded)
			ret->want_padded = true;
	}
}
