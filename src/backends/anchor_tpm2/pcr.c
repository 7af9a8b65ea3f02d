/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PCRs: which banks there are, what they hold, one step more. */
#include <errno.h>
#include <stdlib.h>

#include "backends/anchor_tpm2/private.h"

#define READ_TRIES 4 /* PCRs change between two replies when somebody else extends */

/* ---- banks ---------------------------------------------------------------------------------- */

static TSS2_RC finish_capability(ESYS_CONTEXT *esys, void *out)
{
	TPMI_YES_NO more;

	return Esys_GetCapability_Finish(esys, &more, out);
}

static bool has_any(const TPMS_PCR_SELECTION *s)
{
	for (unsigned i = 0; i < s->sizeofSelect; i++)
		if (s->pcrSelect[i])
			return true;
	return false;
}

static int collect_banks(const TPML_PCR_SELECTION *all, struct assay_banks *ret,
			 struct assay_err *err)
{
	struct assay_banks banks = { 0 };

	for (uint32_t i = 0; i < all->count; i++) {
		const TPMS_PCR_SELECTION *s = &all->pcrSelections[i];

		if (!has_any(s))
			continue; /* supported, not allocated */
		if (banks.n == ASSAY_BANKS_MAX)
			return assay_err_set(err, -E2BIG, "the TPM has more than %u PCR banks",
					     ASSAY_BANKS_MAX);
		/* Left out of our extends, a bank could be extended to any value by anybody. */
		if (!assay_hash_by_tpm_id(s->hash, &banks.alg[banks.n]))
			return assay_err_set(err, -EOPNOTSUPP,
					     "the TPM has a PCR bank of unknown algorithm 0x%04x; "
					     "deallocate it (tpm2_pcrallocate)",
					     s->hash);
		banks.n++;
	}
	if (!banks.n)
		return assay_err_set(err, -EOPNOTSUPP, "the TPM has no PCR bank allocated");
	*ret = banks;
	return 0;
}

int assay_tpm2_banks(struct assay_anchor_tpm2 *a, struct assay_banks *ret, struct assay_err *err)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TSS2_RC sent = Esys_GetCapability_Async(a->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
						TPM2_CAP_PCRS, 0, 1);
	int r = assay_tpm2_call(a, "TPM2_GetCapability", sent, finish_capability, &data, err);

	if (r == 0)
		r = collect_banks(&data->data.assignedPCR, ret, err);
	Esys_Free(data);
	return r;
}

/* ---- read ----------------------------------------------------------------------------------- */

static TSS2_RC finish_clock(ESYS_CONTEXT *esys, void *out)
{
	return Esys_ReadClock_Finish(esys, out);
}

int assay_tpm2_clock(struct assay_anchor_tpm2 *a, struct assay_tpm_clock *ret,
		     struct assay_err *err)
{
	TPMS_TIME_INFO *t = NULL;
	TSS2_RC sent = Esys_ReadClock_Async(a->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE);
	int r = assay_tpm2_call(a, "TPM2_ReadClock", sent, finish_clock, &t, err);

	if (r == 0)
		*ret = (struct assay_tpm_clock){
			.clock = t->clockInfo.clock,
			.reset_count = t->clockInfo.resetCount,
			.restart_count = t->clockInfo.restartCount,
			.safe = t->clockInfo.safe,
		};
	Esys_Free(t);
	return r;
}

struct read_reply {
	UINT32 counter;
	TPML_PCR_SELECTION *selection;
	TPML_DIGEST *values;
};

static TSS2_RC finish_read(ESYS_CONTEXT *esys, void *out)
{
	struct read_reply *reply = out;

	return Esys_PCR_Read_Finish(esys, &reply->counter, &reply->selection, &reply->values);
}

static void read_reply_free(struct read_reply *reply)
{
	Esys_Free(reply->selection);
	Esys_Free(reply->values);
	*reply = (struct read_reply){ 0 };
}

/* What of @want[bank] is still to be read, as a selection. */
static bool select_rest(const struct assay_banks *banks, const uint32_t want[ASSAY_BANKS_MAX],
			TPML_PCR_SELECTION *ret)
{
	*ret = (TPML_PCR_SELECTION){ 0 };
	for (uint32_t b = 0; b < banks->n; b++) {
		TPMS_PCR_SELECTION *s = &ret->pcrSelections[ret->count];

		if (!want[b])
			continue;
		s->hash = assay_hash_tpm_id(banks->alg[b]);
		s->sizeofSelect = 3;
		for (unsigned i = 0; i < 3; i++)
			s->pcrSelect[i] = (uint8_t)(want[b] >> 8 * i);
		ret->count++;
	}
	return ret->count != 0;
}

static uint32_t mask_of(const TPMS_PCR_SELECTION *s)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < s->sizeofSelect && i < 3; i++)
		mask |= (uint32_t)s->pcrSelect[i] << 8 * i;
	return mask;
}

/* Files the values of one reply and strikes them from @want. False: not what was asked for. */
static bool take_values(const struct assay_banks *banks, const struct read_reply *reply,
			uint32_t want[ASSAY_BANKS_MAX], struct assay_pcr_value values[ASSAY_PCRS])
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < reply->selection->count; i++) {
		const TPMS_PCR_SELECTION *s = &reply->selection->pcrSelections[i];
		uint32_t got = mask_of(s), b = 0;
		enum assay_hash alg;

		if (!assay_hash_by_tpm_id(s->hash, &alg) || !assay_banks_find(banks, alg, &b) ||
		    (got & ~want[b]))
			return false;
		for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
			if (!(got & 1u << p))
				continue;
			if (at == reply->values->count ||
			    reply->values->digests[at].size != assay_hash_size(banks->alg[b]))
				return false;
			memcpy(values[p].value[b], reply->values->digests[at].buffer,
			       reply->values->digests[at].size);
			at++;
		}
		want[b] &= ~got;
	}
	return at > 0 && at == reply->values->count;
}

/* A TPM gives at most eight values a command. -EAGAIN: they changed in between. */
static int read_all(struct assay_anchor_tpm2 *a, uint32_t pcr_mask,
		    struct assay_pcr_value values[ASSAY_PCRS], struct assay_err *err)
{
	uint32_t want[ASSAY_BANKS_MAX] = { 0 };
	struct read_reply reply = { 0 };
	TPML_PCR_SELECTION rest;
	UINT32 counter = 0;
	bool ok = true;

	for (uint32_t b = 0; b < a->banks.n; b++)
		want[b] = pcr_mask & ((1u << ASSAY_PCRS) - 1);
	for (bool first = true; select_rest(&a->banks, want, &rest); first = false) {
		TSS2_RC sent = Esys_PCR_Read_Async(a->esys, ESYS_TR_NONE, ESYS_TR_NONE,
						   ESYS_TR_NONE, &rest);
		int r = assay_tpm2_call(a, "TPM2_PCR_Read", sent, finish_read, &reply, err);

		if (r < 0)
			return r;
		if (first)
			counter = reply.counter;
		if (counter == reply.counter)
			ok = take_values(&a->banks, &reply, want, values);
		else
			r = -EAGAIN;
		read_reply_free(&reply);
		if (!ok)
			return assay_err_set(err, -EIO,
					     "TPM2_PCR_Read: the TPM did not give the "
					     "PCRs that were asked for");
		if (r < 0)
			return assay_err_set(err, r, "PCRs change while they are read");
	}
	return 0;
}

int assay_tpm2_read(struct assay_anchor_tpm2 *a, uint32_t pcr_mask,
		    struct assay_pcr_value values[ASSAY_PCRS], struct assay_tpm_clock *ret_clock,
		    struct assay_err *err)
{
	struct assay_pcr_value got[ASSAY_PCRS] = { 0 };
	struct assay_tpm_clock before, after;
	int r = assay_tpm2_clock(a, &before, err);

	if (r < 0)
		return r;
	r = -EAGAIN;
	for (int i = 0; i < READ_TRIES && r == -EAGAIN; i++)
		r = read_all(a, pcr_mask, got, err);
	if (r == 0)
		r = assay_tpm2_clock(a, &after, err);
	if (r < 0)
		return r;
	if (before.reset_count != after.reset_count || before.restart_count != after.restart_count)
		return assay_err_set(err, -EAGAIN, "the TPM was reset while it was read");
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		if (pcr_mask & 1u << p)
			values[p] = got[p];
	*ret_clock = after;
	return 0;
}

/* ---- extend --------------------------------------------------------------------------------- */

static TSS2_RC finish_extend(ESYS_CONTEXT *esys, void *out)
{
	(void)out;
	return Esys_PCR_Extend_Finish(esys);
}

int assay_tpm2_extend(struct assay_anchor_tpm2 *a, uint32_t pcr,
		      const struct assay_pcr_value *digests, struct assay_err *err)
{
	TPML_DIGEST_VALUES all = { .count = a->banks.n };
	TSS2_RC sent;

	if (pcr >= ASSAY_PCRS)
		return assay_err_set(err, -EINVAL, "there is no PCR %u", pcr);
	for (uint32_t b = 0; b < a->banks.n; b++) {
		all.digests[b].hashAlg = assay_hash_tpm_id(a->banks.alg[b]);
		memcpy(&all.digests[b].digest, digests->value[b], assay_hash_size(a->banks.alg[b]));
	}
	sent = Esys_PCR_Extend_Async(a->esys, ESYS_TR_PCR0 + pcr, assay_tpm2_session(a),
				     ESYS_TR_NONE, ESYS_TR_NONE, &all);
	return assay_tpm2_call(a, "TPM2_PCR_Extend", sent, finish_extend, NULL, err);
}
