/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The port over the file and the key. */
#include "backends/anchor_soft/anchor_soft.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "backends/anchor_soft/private.h"
#include "base/clock.h"
#include "engine/quote.h"

struct assay_anchor_soft {
	int dirfd; /* borrowed */
	struct assay_crypto crypto;
	struct soft_state state;
	EVP_PKEY *key;
};

static struct assay_tpm_clock clock_of(const struct assay_anchor_soft *a)
{
	return (struct assay_tpm_clock){
		.clock = assay_clock_read(CLOCK_BOOTTIME) / 1000000,
		.reset_count = a->state.resets,
		.safe = true,
	};
}

/* The file is what counts: what is in it was extended. */
static int reopen(void *ctx, struct assay_err *err)
{
	struct assay_anchor_soft *a = ctx;

	return assay_anchor_soft_load(a->dirfd, &a->crypto, &a->state, err);
}

static int banks(void *ctx, struct assay_banks *ret, struct assay_err *err)
{
	(void)ctx;
	(void)err;
	*ret = assay_anchor_soft_banks;
	return 0;
}

static int read_pcrs(void *ctx, uint32_t pcr_mask, struct assay_pcr_value values[ASSAY_PCRS],
		     struct assay_tpm_clock *ret_clock, struct assay_err *err)
{
	struct assay_anchor_soft *a = ctx;

	(void)err;
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		if (pcr_mask & 1u << p)
			values[p] = a->state.pcr[p];
	*ret_clock = clock_of(a);
	return 0;
}

static int step(const struct assay_crypto *crypto, enum assay_hash alg, uint8_t *value,
		const uint8_t *digest)
{
	size_t n = assay_hash_size(alg);
	uint8_t both[2 * ASSAY_HASH_SIZE_MAX];

	memcpy(both, value, n);
	memcpy(both + n, digest, n);
	return crypto->ops->hash(crypto->ctx, alg, assay_bytes(both, 2 * n), value);
}

static int extend(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
		  struct assay_err *err)
{
	struct assay_anchor_soft *a = ctx;
	struct soft_state next = a->state;
	struct assay_err why = { 0 };
	int r = 0;

	if (pcr >= ASSAY_PCRS)
		return assay_err_set(err, -EINVAL, "there is no PCR %u", pcr);
	for (uint32_t b = 0; b < SOFT_BANKS && r == 0; b++)
		r = step(&a->crypto, assay_anchor_soft_banks.alg[b], next.pcr[pcr].value[b],
			 digests->value[b]);
	if (r < 0)
		return assay_err_set(err, r, "cannot compute a digest");
	/* Whether a write that failed has reached the file is as unknown as a lost reply. */
	r = assay_anchor_soft_store(a->dirfd, &a->crypto, &next, &why);
	if (r < 0)
		return assay_err_set(err, -EIO, "the software anchor: %s", why.text);
	a->state = next;
	return 0;
}

static void select_pcrs(const struct assay_anchor_soft *a, const struct assay_quote_request *q,
			struct assay_selection *ret, struct assay_quote_pcrs *ret_pcrs)
{
	*ret = (struct assay_selection){ 0 };
	ret_pcrs->n = 0;
	for (uint32_t i = 0; i < SOFT_BANKS * ASSAY_PCRS; i++) {
		uint32_t bank = i / ASSAY_PCRS, pcr = i % ASSAY_PCRS;
		struct assay_quote_pcr *v = &ret_pcrs->v[ret_pcrs->n];

		if (!(q->bank_mask & 1u << bank))
			continue;
		if (pcr == 0) {
			ret->bank[ret->n].alg = assay_anchor_soft_banks.alg[bank];
			ret->bank[ret->n++].mask = q->pcr_mask & ((1u << ASSAY_PCRS) - 1);
		}
		if (!(q->pcr_mask & 1u << pcr))
			continue;
		v->bank = assay_anchor_soft_banks.alg[bank];
		v->pcr = pcr;
		memcpy(v->value, a->state.pcr[pcr].value[bank], sizeof(v->value));
		ret_pcrs->n++;
	}
}

static int quote(void *ctx, const struct assay_quote_request *request,
		 struct assay_quote_reply *ret, struct assay_err *err)
{
	struct assay_anchor_soft *a = ctx;
	struct assay_attest attest = { .nonce = request->nonce, .clock = clock_of(a) };
	struct assay_quote_pcrs pcrs;
	uint8_t digest[32];
	int r;

	if (request->nonce.len > ASSAY_NONCE_MAX)
		return assay_err_set(err, -EINVAL, "a nonce of more than %d bytes",
				     ASSAY_NONCE_MAX);
	select_pcrs(a, request, &attest.selection, &pcrs);
	r = assay_quote_digest(&a->crypto, ASSAY_HASH_SHA256, &pcrs, digest);
	if (r < 0)
		return assay_err_set(err, r, "cannot compute a digest");
	attest.pcr_digest = assay_bytes(digest, sizeof(digest));
	return assay_anchor_soft_sign(a->key, &a->crypto, &attest, ret, err);
}

static const struct assay_anchor_ops ops = {
	.kind = ASSAY_ANCHOR_SOFT,
	.reopen = reopen,
	.banks = banks,
	.read = read_pcrs,
	.extend = extend,
	.quote = quote,
};

int assay_anchor_soft_new(int dirfd, const struct assay_crypto *crypto,
			  struct assay_anchor_soft **ret, struct assay_err *err)
{
	AUTO(anchor_soft) struct assay_anchor_soft *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return assay_err_set(err, -ENOMEM, "out of memory");
	a->dirfd = dirfd;
	a->crypto = *crypto;
	r = assay_anchor_soft_load(dirfd, &a->crypto, &a->state, err);
	if (r == 0)
		r = assay_anchor_soft_key(dirfd, &a->key, err);
	if (r == 0)
		*ret = TAKE(a);
	return r;
}

void assay_anchor_soft_free(struct assay_anchor_soft *a)
{
	if (!a)
		return;
	EVP_PKEY_free(a->key);
	free(a);
}

struct assay_anchor assay_anchor_soft_port(struct assay_anchor_soft *a)
{
	return (struct assay_anchor){ .ops = &ops, .ctx = a };
}
