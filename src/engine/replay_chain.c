/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The PCR chain: each step extends, and a kernel's record may go before the last few. */
#include "engine/replay_private.h"

#include <errno.h>

static int extend(struct assay_replay *r, uint8_t *value, enum assay_hash alg,
		  const uint8_t *digest)
{
	uint8_t buf[2 * ASSAY_HASH_SIZE_MAX];
	size_t size = assay_hash_size(alg);

	memcpy(buf, value, size);
	memcpy(buf + size, digest, size);
	return r->crypto.ops->hash(r->crypto.ctx, alg, assay_bytes(buf, 2 * size), value);
}

static int extend_banks(struct assay_replay *r, uint32_t pcr, bool pad, enum assay_extend_kind kind,
			const struct assay_record_digests *d)
{

	for (uint32_t i = 0; i < r->banks.n; i++) {
		uint8_t padded[ASSAY_HASH_SIZE_MAX] = { 0 };
		int error;

		if (pad)
			memcpy(padded, d->sha1, sizeof(d->sha1));
		error = extend(r, r->value[kind][pcr].value[i], r->banks.alg[i],
			       pad ? padded : d->bank.value[i]);
		if (error < 0)
			return error;
	}
	return 0;
}

static int extend_kinds(struct assay_replay *r, const struct assay_record *record,
			const struct assay_record_digests *d)
{
	int error = 0;

	for (unsigned kind = 0; error == 0 && kind < ASSAY_EXTEND_KIND_COUNT; kind++) {
		bool pad = kind != ASSAY_EXTEND_REAL && r->of_kernel &&
			   !(kind == ASSAY_EXTEND_PADDED_FF && record->violation);

		if (r->follow[kind])
			error = extend_banks(r, record->pcr, pad, (enum assay_extend_kind)kind, d);
	}
	return error;
}

static void copy_banks(const struct assay_replay *r, struct assay_pcr_value *to,
		       const struct assay_pcr_value *from)
{
	for (uint32_t i = 0; i < r->banks.n; i++)
		memcpy(to->value[i], from->value[i], assay_hash_size(r->banks.alg[i]));
}

/* The step may have to give way to a kernel's record later. */
static void remember(struct assay_replay *r, uint32_t pcr, uint64_t covers,
		     const struct assay_record_digests *d)
{
	struct assay_tail_step *s;

	if (r->of_kernel) {
		assay_tail_close(&r->tail, pcr, r->records + 1);
		return;
	}
	s = assay_tail_push(&r->tail, pcr, r->records);
	s->covers = covers;
	copy_banks(r, &s->digests, &d->bank);
	for (unsigned kind = 0; kind < ASSAY_EXTEND_KIND_COUNT; kind++)
		if (r->follow[kind])
			copy_banks(r, &s->before[kind], &r->value[kind][pcr]);
}

/* The steps that a kernel's record was put before are extended anew. */
static int extend_behind(struct assay_replay *r, uint32_t pcr)
{
	int error = 0;

	for (uint32_t back = r->behind; error == 0 && back > 0; back--) {
		struct assay_tail_step *s = assay_tail_at(&r->tail, pcr, back);
		struct assay_record_digests d = { 0 };

		copy_banks(r, &d.bank, &s->digests);
		for (unsigned kind = 0; error == 0 && kind < ASSAY_EXTEND_KIND_COUNT; kind++) {
			if (!r->follow[kind])
				continue;
			copy_banks(r, &s->before[kind], &r->value[kind][pcr]);
			error = extend_banks(r, pcr, false, (enum assay_extend_kind)kind, &d);
		}
	}
	return error;
}

/* A record of the kernel that was extended before the steps from an entry on. */
static int insert(struct assay_replay *r, const struct assay_record *record,
		  const struct assay_record_digests *d, struct assay_err *err)
{
	uint32_t pcr = record->pcr;
	int error = assay_tail_count(&r->tail, pcr, r->kernel_at, &r->behind);

	if (error < 0)
		return assay_err_set(
			err, -EBADMSG,
			"a record of the kernel's cannot go before entry %llu of PCR %u",
			(unsigned long long)r->kernel_at, pcr);
	assay_tail_close(&r->tail, pcr, r->kernel_at);
	if (r->behind > 0) {
		const struct assay_tail_step *s = assay_tail_at(&r->tail, pcr, r->behind);

		for (unsigned kind = 0; kind < ASSAY_EXTEND_KIND_COUNT; kind++)
			if (r->follow[kind])
				copy_banks(r, &r->value[kind][pcr], &s->before[kind]);
	}
	error = extend_kinds(r, record, d);
	return error < 0 ? error : extend_behind(r, pcr);
}

int assay_replay_step(struct assay_replay *r, const struct assay_record *record, uint64_t offset,
		      const struct assay_record_digests *d, uint64_t covers, struct assay_step *ret,
		      struct assay_err *err)
{
	int error;

	if (r->announced && r->kernel_at != NOWHERE) {
		error = insert(r, record, d, err);
		if (error == -EBADMSG)
			return error;
	} else {
		remember(r, record->pcr, covers, d);
		error = extend_kinds(r, record, d);
	}
	if (error < 0)
		return assay_err_set(err, error, "cannot compute a PCR value");
	if (r->announced)
		r->n_announced++;
	else
		r->steps[record->pcr]++;
	if (!ret)
		return 0;
	ret->index = r->records;
	ret->offset = offset;
	ret->upto = r->records + 1;
	ret->pcr = record->pcr;
	ret->kernel = r->announced;
	ret->digests = d->bank;
	return 0;
}
