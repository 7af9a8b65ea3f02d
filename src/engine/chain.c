/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/chain.h"

#include "base/fmt.h"
#include "base/macros.h"

#define U(n) ((unsigned long long)(n))

const char *assay_chain_fault_name(enum assay_chain_fault fault)
{
	static const char *const names[] = {
		[ASSAY_CHAIN_FOLLOWS] = "follows",
		[ASSAY_CHAIN_MISSING] = "missing",
		[ASSAY_CHAIN_ORDER] = "order",
		[ASSAY_CHAIN_START] = "start",
		[ASSAY_CHAIN_CUT] = "cut",
		[ASSAY_CHAIN_LONGER] = "longer",
		[ASSAY_CHAIN_CHANGED] = "changed",
		[ASSAY_CHAIN_COUNTS] = "counts",
		[ASSAY_CHAIN_BOOT] = "boot",
		[ASSAY_CHAIN_BASE] = "base",
		[ASSAY_CHAIN_UNVOUCHED] = "unvouched",
	};

	_Static_assert(ARRAY_LEN(names) == ASSAY_CHAIN_FAULT_COUNT, "a name for each");
	return names[fault];
}

static bool fails(struct assay_chain_finding *f, enum assay_chain_fault fault, const char *fmt, ...)
	ASSAY_PRINTF(3, 4);
static bool fails(struct assay_chain_finding *f, enum assay_chain_fault fault, const char *fmt, ...)
{
	va_list ap;

	f->fault = fault;
	va_start(ap, fmt);
	assay_fmt_v(f->why, sizeof(f->why), fmt, ap);
	va_end(ap);
	return false;
}

static bool misses(struct assay_chain_finding *f, uint64_t from, uint64_t to)
{
	if (from == to)
		return fails(f, ASSAY_CHAIN_MISSING, "segment %llu, before it, is missing",
			     U(from));
	return fails(f, ASSAY_CHAIN_MISSING, "segments %llu to %llu, before it, are missing",
		     U(from), U(to));
}

/* ---- the first ------------------------------------------------------------------------------ */

static bool is_first(const struct assay_segment_head *h, uint64_t first,
		     struct assay_chain_finding *f)
{
	bool links = h->previous_len || !assay_bytes_all(assay_bytes(h->previous, 32), 0);

	if (first && h->number > first)
		return misses(f, first, h->number - 1);
	if (first && h->number < first)
		return fails(f, ASSAY_CHAIN_ORDER,
			     "it is older than segment %llu, the first asked for", U(first));
	if ((h->number == 1) != (h->start == ASSAY_SEGMENT_FIRST))
		return fails(f, ASSAY_CHAIN_START, "it %s the first, and has number %llu",
			     h->start == ASSAY_SEGMENT_FIRST ? "says that it is" : "is not",
			     U(h->number));
	if (h->number == 1 && links)
		return fails(f, ASSAY_CHAIN_START, "it is the first, and names one before it");
	return true;
}

/* ---- and the next --------------------------------------------------------------------------- */

static bool has_next_number(const struct assay_segment_head *before,
			    const struct assay_segment_head *h, struct assay_chain_finding *f)
{
	if (h->number <= before->number)
		return fails(f, ASSAY_CHAIN_ORDER,
			     "it stands behind segment %llu: out of order, or there twice",
			     U(before->number));
	if (h->number - 1 != before->number)
		return misses(f, before->number + 1, h->number - 1);
	if (h->start == ASSAY_SEGMENT_FIRST)
		return fails(f, ASSAY_CHAIN_START,
			     "it says that it is the first, and has number %llu", U(h->number));
	return true;
}

static bool names_before(const struct assay_chain_segment *before,
			 const struct assay_segment_head *h, struct assay_chain_finding *f)
{
	unsigned long long number = U(before->head->number);

	if (before->len != h->previous_len)
		return fails(f,
			     before->len < h->previous_len ? ASSAY_CHAIN_CUT : ASSAY_CHAIN_LONGER,
			     "segment %llu has %llu bytes of records, and had %llu when this one "
			     "began: it was %s",
			     number, U(before->len), U(h->previous_len),
			     before->len < h->previous_len ? "cut" : "added to");
	if (memcmp(before->digest, h->previous, sizeof(h->previous)) != 0)
		return fails(
			f, ASSAY_CHAIN_CHANGED,
			"segment %llu is not the one that was there when this one began: it was "
			"changed, or is of another list",
			number);
	return true;
}

/* resetCount, then restartCount, then the clock: as one number with three digits. Under the same
 * counts the clock runs; a reset may set it back by what was not saved. */
static int compare_counts(const struct assay_tpm_clock *a, const struct assay_tpm_clock *b)
{
	if (a->reset_count != b->reset_count)
		return a->reset_count < b->reset_count ? -1 : 1;
	if (a->restart_count != b->restart_count)
		return a->restart_count < b->restart_count ? -1 : 1;
	return 0;
}

static bool counts_go_on(const struct assay_segment_head *before,
			 const struct assay_segment_head *h, struct assay_chain_finding *f)
{
	const struct assay_tpm_clock *was = &before->clock, *is = &h->clock;
	int d = compare_counts(is, was);

	if (before->banks.n == 0 || h->banks.n == 0) /* no TPM, or none yet */
		return true;
	if (d < 0 || (d == 0 && is->clock < was->clock))
		return fails(f, ASSAY_CHAIN_COUNTS,
			     "the TPM's counts went back from %u resets, %u restarts, %llu ms to "
			     "%u, %u, %llu: it is another TPM, or was cleared",
			     was->reset_count, was->restart_count, U(was->clock), is->reset_count,
			     is->restart_count, U(is->clock));
	if (d == 0 && h->start == ASSAY_SEGMENT_RESET)
		return fails(f, ASSAY_CHAIN_COUNTS,
			     "it says that the PCRs went back, and the TPM counted no reset since "
			     "segment %llu began",
			     U(before->number));
	return true;
}

/* A kernel that has gone does not come back. (One that hibernates is gone only from the TPM's
 * sight: then the same boot has two segments, one after the other.) */
static bool boot_goes_on(const struct assay_chain_segment *s, size_t at,
			 struct assay_chain_finding *f)
{
	const uint8_t *boot = s[at].head->boot_id;

	if (memcmp(boot, s[at - 1].head->boot_id, 16) == 0)
		return true;
	for (size_t i = 0; i + 1 < at; i++)
		if (memcmp(boot, s[i].head->boot_id, 16) == 0)
			return fails(f, ASSAY_CHAIN_BOOT,
				     "it is of the boot of segment %llu, which had ended before "
				     "segment %llu began",
				     U(s[i].head->number), U(s[at - 1].head->number));
	return true;
}

static const uint8_t *base_of(const struct assay_segment_head *h, uint32_t pcr, enum assay_hash alg)
{
	uint32_t bank;

	return assay_banks_find(&h->banks, alg, &bank) ? h->base[pcr].value[bank] : NULL;
}

/* A restart alone sets PCRs to zero, and nobody has had them since. Behind a reset the firmware and
 * the kernel came first; what is no zero then is told, and a list of the kernel's may explain it.
 */
static bool base_went_back(const struct assay_chain_segment *before,
			   const struct assay_segment_head *h, struct assay_chain_finding *f)
{
	if (h->start != ASSAY_SEGMENT_RESET || before->head->banks.n == 0 ||
	    h->clock.reset_count != before->head->clock.reset_count)
		return true;
	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		for (uint32_t i = 0; (before->pcrs & 1u << p) && i < h->banks.n; i++) {
			enum assay_hash alg = h->banks.alg[i];
			size_t size = assay_hash_size(alg);
			const uint8_t *was = base_of(before->head, p, alg);

			if (assay_bytes_all(assay_bytes(h->base[p].value[i], size), 0) ||
			    (was && memcmp(h->base[p].value[i], was, size) == 0))
				continue;
			return fails(
				f, ASSAY_CHAIN_BASE,
				"it says that the PCRs went back, but PCR %u of bank %s is not at "
				"its initial value",
				p, assay_hash_name(alg));
		}
	}
	return true;
}

static bool is_vouched(const struct assay_chain_segment *s, size_t at,
		       struct assay_chain_finding *f)
{
	if (s[at].vouched)
		return true;
	return fails(
		f, ASSAY_CHAIN_UNVOUCHED,
		"no entry of it that counts names its head, so nothing says what came before it");
}

bool assay_chain_judge(const struct assay_chain_segment *s, size_t at, uint64_t first,
		       struct assay_chain_finding *ret)
{
	const struct assay_segment_head *h = s[at].head;
	struct assay_chain_finding f = { 0 };
	bool good;

	if (at == 0)
		good = is_first(h, first, &f);
	else
		good = has_next_number(s[at - 1].head, h, &f) && names_before(&s[at - 1], h, &f) &&
		       counts_go_on(s[at - 1].head, h, &f) && boot_goes_on(s, at, &f) &&
		       base_went_back(&s[at - 1], h, &f);
	good = good && is_vouched(s, at, &f);
	*ret = f;
	return good;
}
