/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/core/batcher.h"

#include <errno.h>

void assay_batcher_init(struct assay_batcher *b, struct assay_arena *arena,
			const struct assay_crypto *crypto, const struct assay_banks *banks)
{
	*b = (struct assay_batcher){ .arena = arena, .crypto = *crypto, .banks = *banks };
}

void assay_batcher_done(struct assay_batcher *b)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		for (uint32_t i = 0; b->pcr[p].hash && i < b->banks.n; i++)
			b->crypto.ops->hash_free(b->pcr[p].hash[i]);
		b->pcr[p].hash = NULL;
	}
}

/* Memory and contexts of one PCR, once. A context that could not be had is tried again next time.
 */
static int prepare_hashes(struct assay_batcher *b, struct assay_batcher_pcr *s)
{
	int rc;

	if (!s->digest)
		s->digest = assay_arena_alloc(b->arena, b->banks.n, sizeof(*s->digest));
	if (!s->hash)
		s->hash = assay_arena_alloc(b->arena, b->banks.n, sizeof(*s->hash));
	if (!s->hash || !s->digest)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->banks.n; i++) {
		if (s->hash[i])
			continue;
		rc = b->crypto.ops->hash_new(b->crypto.ctx, b->banks.alg[i], &s->hash[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int assay_batcher_prepare(struct assay_batcher *b, uint32_t pcr)
{
	struct assay_batcher_pcr *s = &b->pcr[pcr];
	int rc;

	if (s->sealed)
		return -EBUSY;
	if (s->count)
		return 0;
	rc = prepare_hashes(b, s);
	for (uint32_t i = 0; rc == 0 && i < b->banks.n; i++)
		rc = b->crypto.ops->hash_init(s->hash[i]);
	return rc;
}

int assay_batcher_add(struct assay_batcher *b, uint64_t index, uint32_t pcr,
		      struct assay_bytes template_name, bool violation, struct assay_bytes data)
{
	struct assay_batcher_pcr *s = &b->pcr[pcr];
	uint8_t buf[ASSAY_BATCH_HEAD_MAX];
	struct assay_wr head = assay_wr(buf, sizeof(buf));
	int rc = 0;

	assay_batch_head(pcr, template_name, violation, data.len, &head);
	if (!assay_wr_ok(&head))
		return -E2BIG;
	for (uint32_t i = 0; rc == 0 && i < b->banks.n; i++) {
		rc = b->crypto.ops->hash_update(s->hash[i], assay_wr_done(&head));
		if (rc == 0)
			rc = b->crypto.ops->hash_update(s->hash[i], data);
	}
	if (s->count++ == 0)
		s->first = index;
	return rc;
}

uint32_t assay_batcher_pending(const struct assay_batcher *b)
{
	uint32_t mask = 0;

	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		if (b->pcr[p].count)
			mask |= 1u << p;
	return mask;
}

static int seal_hashes(struct assay_batcher *b, struct assay_batcher_pcr *s)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < b->banks.n; i++) {
		s->digest[i].alg = b->banks.alg[i];
		rc = b->crypto.ops->hash_final(s->hash[i], s->digest[i].data);
	}
	return rc;
}

int assay_batcher_seal(struct assay_batcher *b, uint32_t pcr, struct assay_batch *ret)
{
	struct assay_batcher_pcr *s = &b->pcr[pcr];
	int rc;

	if (!s->count)
		return -ENODATA;
	if (!s->sealed) {
		rc = seal_hashes(b, s);
		if (rc < 0)
			return rc;
		s->sealed = true;
	}
	*ret = (struct assay_batch){ .sequence = b->sequence + 1,
				     .first = s->first,
				     .count = s->count,
				     .n_banks = b->banks.n };
	for (uint32_t i = 0; i < b->banks.n; i++)
		ret->digest[i] = s->digest[i];
	return 0;
}

void assay_batcher_covered(struct assay_batcher *b, uint32_t pcr, uint64_t sequence)
{
	b->pcr[pcr].count = 0;
	b->pcr[pcr].sealed = false;
	b->sequence = sequence;
}
