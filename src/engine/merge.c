/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/checker.h"

#define SHA1_SIZE 20

static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };

struct search {
	const struct assay_crypto *crypto;
	const struct assay_banks *banks;
	struct assay_replay *replay;
	const struct assay_merge_input *in;
	/* The kernel's records: each has its PCR, whether it is a violation, and @stride bytes of
	 * digests: SHA-1, then the banks'. */
	uint32_t n;
	uint8_t *pcr;
	bool *violation;
	uint8_t *digests;
	size_t stride;
	uint32_t *own; /* numbers of those of the PCR at hand */
	uint32_t work;
};

/* One bank of one PCR. */
struct chain {
	struct search *s;
	uint32_t pcr, bank;
	bool padded;
	uint32_t n; /* of the kernel's */
	/* Of our last steps: no fewer than @least are missing, no more than @most, and one of the
	 * last @among may be among the kernel's. */
	uint32_t least, most, among;
};

/* ---- the kernel's digests ------------------------------------------------------------------- */

static size_t digest_at(const struct search *s, uint32_t bank)
{
	size_t at = SHA1_SIZE;

	for (uint32_t i = 0; i < bank; i++)
		at += assay_hash_size(s->banks->alg[i]);
	return at;
}

static int count_records(struct search *s)
{
	struct assay_rd in = assay_rd(s->in->records);
	struct assay_record record;

	for (; !assay_rd_end(&in); s->n++) {
		if (s->n == ASSAY_MERGE_RECORDS_MAX)
			return -ENOENT;
		if (assay_record_parse(&in, &form, &record, NULL) < 0 || record.pcr >= ASSAY_PCRS)
			return -EBADMSG;
	}
	return 0;
}

static void keep_digests(struct search *s, uint32_t i, const struct assay_record_digests *d)
{
	uint8_t *to = s->digests + i * s->stride;

	memcpy(to, d->sha1, SHA1_SIZE);
	for (uint32_t b = 0; b < s->banks->n; b++)
		memcpy(to + digest_at(s, b), d->bank.value[b], assay_hash_size(s->banks->alg[b]));
}

static int load_digests(struct search *s)
{
	struct assay_rd in = assay_rd(s->in->records);
	struct assay_checker checker;
	struct assay_record_digests d;
	struct assay_record record;
	int rc = assay_checker_init(&checker, s->crypto, s->banks, &form, true);

	for (uint32_t i = 0; rc == 0 && i < s->n; i++) {
		rc = assay_record_parse(&in, &form, &record, NULL);
		if (rc == 0)
			rc = assay_checker_digests(&checker, &record, &d, NULL);
		if (rc < 0)
			break;
		s->pcr[i] = (uint8_t)record.pcr;
		s->violation[i] = record.violation;
		keep_digests(s, i, &d);
	}
	return rc;
}

static int load(struct search *s)
{
	int rc = count_records(s);

	if (rc < 0 || s->n == 0)
		return rc;
	s->stride = digest_at(s, s->banks->n);
	s->pcr = calloc(s->n, sizeof(*s->pcr));
	s->violation = calloc(s->n, sizeof(*s->violation));
	s->own = calloc(s->n, sizeof(*s->own));
	s->digests = calloc(s->n, s->stride);
	if (!s->pcr || !s->violation || !s->own || !s->digests)
		return -ENOMEM;
	return load_digests(s);
}

static void search_done(struct search *s)
{
	free(s->pcr);
	free(s->violation);
	free(s->own);
	free(s->digests);
}

/* ---- one PCR -------------------------------------------------------------------------------- */

static int extend(const struct chain *c, const uint8_t *digest, uint8_t *value)
{
	enum assay_hash alg = c->s->banks->alg[c->bank];
	size_t size = assay_hash_size(alg);
	uint8_t buf[2 * ASSAY_HASH_SIZE_MAX];

	if (++c->s->work > ASSAY_MERGE_WORK_MAX)
		return -E2BIG;
	memcpy(buf, value, size);
	memcpy(buf + size, digest, size);
	return c->s->crypto->ops->hash(c->s->crypto->ctx, alg, assay_bytes(buf, 2 * size), value);
}

static int extend_kernel(const struct chain *c, uint32_t i, uint8_t *value)
{
	uint32_t k = c->s->own[i];
	const uint8_t *of = c->s->digests + k * c->s->stride;
	uint8_t padded[ASSAY_HASH_SIZE_MAX] = { 0 };

	if (!c->padded || c->s->violation[k])
		return extend(c, of + digest_at(c->s, c->bank), value);
	memcpy(padded, of, SHA1_SIZE);
	return extend(c, padded, value);
}

static int extend_own(const struct chain *c, uint32_t back, uint8_t *value)
{
	const struct assay_tail_step *t = assay_replay_tail(c->s->replay, c->pcr, back);

	return extend(c, t->digests.value[c->bank], value);
}

/* What the PCR held before our last @back steps; false: that is too long ago. */
static bool value_before(const struct chain *c, uint32_t back, uint8_t ret[ASSAY_HASH_SIZE_MAX])
{
	enum assay_extend_kind kind = c->padded ? ASSAY_EXTEND_PADDED_FF : ASSAY_EXTEND_REAL;
	const struct assay_tail_step *t;
	const struct assay_pcr_value *v;

	if (back > 0) {
		t = assay_replay_tail(c->s->replay, c->pcr, back);
		v = t ? &t->before[kind] : NULL;
	} else {
		v = assay_replay_value(c->s->replay, c->pcr, kind);
	}
	if (v)
		memcpy(ret, v->value[c->bank], ASSAY_HASH_SIZE_MAX);
	return v != NULL;
}

/* From @value on the kernel's from number @from, until what was seen is met. */
static int run(const struct chain *c, const uint8_t *from_value, uint32_t from, uint32_t *ret_taken)
{
	const uint8_t *seen = c->s->in->seen[c->pcr].value[c->bank];
	size_t size = assay_hash_size(c->s->banks->alg[c->bank]);
	uint8_t value[ASSAY_HASH_SIZE_MAX];
	int rc = 0;

	memcpy(value, from_value, sizeof(value));
	for (uint32_t i = from; rc == 0; i++) {
		if (memcmp(value, seen, size) == 0) {
			*ret_taken = i;
			return 0;
		}
		rc = i < c->n ? extend_kernel(c, i, value) : -ENOENT;
	}
	return rc;
}

/* All of the kernel's after ours, but for those of ours that are missing. */
static int find_behind(const struct chain *c, struct assay_merge_place *ret)
{
	uint8_t value[ASSAY_HASH_SIZE_MAX];
	uint32_t taken;
	int rc = -ENOENT;

	for (uint32_t back = c->least;
	     rc == -ENOENT && back <= c->most && value_before(c, back, value); back++) {
		rc = run(c, value, 0, &taken);
		if (rc == 0)
			*ret = (struct assay_merge_place){ .back = back, .taken = taken };
	}
	return rc;
}

/* One step of ours among the kernel's. Most come soon before it or long after: the few that came
 * before it are counted up from one. */
static int find_between(const struct chain *c, struct assay_merge_place *ret)
{
	uint8_t before[ASSAY_TAIL_MAX][ASSAY_HASH_SIZE_MAX], value[ASSAY_HASH_SIZE_MAX];
	uint32_t n = c->least, taken;
	int rc = -ENOENT;

	while (n < ASSAY_TAIL_MAX && n < c->among && value_before(c, n + 1, before[n]))
		n++;
	for (uint32_t i = 0; n > c->least && rc == -ENOENT && i < c->n; i++) {
		for (uint32_t k = c->least; rc == -ENOENT && k < n; k++) {
			rc = extend_kernel(c, i, before[k]);
			memcpy(value, before[k], sizeof(value));
			if (rc == 0)
				rc = extend_own(c, k + 1, value);
			if (rc == 0)
				rc = run(c, value, i + 1, &taken);
			if (rc == 0)
				*ret = (struct assay_merge_place){ k + 1, i + 1, taken, true };
		}
	}
	return rc;
}

/* Whether this bank says the same as the first. */
static int confirm(const struct chain *c, const struct assay_merge_place *p)
{
	size_t size = assay_hash_size(c->s->banks->alg[c->bank]);
	uint8_t value[ASSAY_HASH_SIZE_MAX];
	int rc = value_before(c, p->back, value) ? 0 : -ENOENT;

	for (uint32_t i = 0; rc == 0 && i <= p->taken; i++) {
		if (p->between && i == p->before)
			rc = extend_own(c, p->back, value);
		if (rc == 0 && i < p->taken)
			rc = extend_kernel(c, i, value);
	}
	if (rc == 0 && memcmp(value, c->s->in->seen[c->pcr].value[c->bank], size) != 0)
		rc = -ENOENT;
	return rc;
}

static int find_in_bank(const struct chain *c, struct assay_merge_place *place)
{
	int rc;

	if (c->bank > 0)
		return confirm(c, place);
	rc = find_behind(c, place);
	return rc == -ENOENT ? find_between(c, place) : rc;
}

/* Who waits too long to be found again is not found. */
static int set_range(struct chain *c)
{
	const uint64_t *lack = c->s->in->lack;

	c->most = c->among = c->s->in->most;
	if (!lack)
		return 0;
	if (lack[c->pcr] > ASSAY_TAIL_MAX)
		return -ENOENT;
	c->least = c->most = (uint32_t)lack[c->pcr];
	c->among = c->least + 1;
	return 0;
}

static int find_pcr(struct search *s, uint32_t pcr, struct assay_merge *m)
{
	struct chain c = { .s = s, .pcr = pcr };
	int rc = set_range(&c);

	m->pcr[pcr].back = c.least;
	if (!(s->in->pcrs & 1u << pcr))
		return rc;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->pcr[i] == pcr)
			s->own[c.n++] = i;
	for (; rc == 0 && c.bank < s->banks->n; c.bank++) {
		c.padded = false;
		rc = find_in_bank(&c, &m->pcr[pcr]);
		if (rc != -ENOENT)
			continue;
		c.padded = true;
		rc = find_in_bank(&c, &m->pcr[pcr]);
		if (rc == 0)
			m->padded |= 1u << c.bank;
	}
	return rc;
}

/* The PCRs were seen at one moment: no record of one is there before one of another is missing. */
static int find_end(const struct search *s, struct assay_merge *m)
{
	uint32_t count[ASSAY_PCRS] = { 0 };
	bool missing = false;

	for (uint32_t i = 0; i < s->n; i++) {
		bool there = count[s->pcr[i]]++ < m->pcr[s->pcr[i]].taken;

		if (there && missing)
			return -ENOENT;
		missing |= !there;
		m->n += there;
	}
	return 0;
}

int assay_merge_find(const struct assay_crypto *crypto, const struct assay_banks *banks,
		     struct assay_replay *replay, const struct assay_merge_input *in,
		     struct assay_merge *ret)
{
	struct search s = { .crypto = crypto, .banks = banks, .replay = replay, .in = in };
	struct assay_merge m = { 0 };
	int rc = load(&s);

	for (uint32_t p = 0; rc == 0 && p < ASSAY_PCRS; p++)
		rc = find_pcr(&s, p, &m);
	if (rc == 0)
		rc = find_end(&s, &m);
	search_done(&s);
	if (rc == 0)
		*ret = m;
	return rc == -E2BIG ? -ENOENT : rc;
}

/* ---- where they belong ---------------------------------------------------------------------- */

/* The first step of ours, of all PCRs, that is still to be extended; UINT64_MAX: there is none. */
static uint64_t first_lacking(const struct assay_merge *m, struct assay_replay *replay)
{
	uint64_t index = UINT64_MAX;

	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		const struct assay_tail_step *t =
			assay_replay_tail(replay, p, assay_merge_lack(m, p));

		if (t && t->index < index)
			index = t->index;
	}
	return index;
}

void assay_merge_walk_init(struct assay_merge_walk *w, const struct assay_merge *m,
			   struct assay_replay *replay, struct assay_bytes records)
{
	*w = (struct assay_merge_walk){ .in = assay_rd(records),
					.left = m->n,
					.lacking = first_lacking(m, replay) };
}

/* The entries before which the next record of the kernel's in @pcr can be said to go: those behind
 * the last step of ours that came before it, up to the first that came after it. One that came
 * after all that was extended goes before the first step that was not, in whatever PCR: said to go
 * before a later one, it would keep the next of its PCR from going with those of another. */
static void find_slot(const struct assay_merge_walk *w, const struct assay_merge *m,
		      struct assay_replay *replay, uint32_t pcr, uint64_t *ret_low,
		      uint64_t *ret_high)
{
	const struct assay_merge_place *p = &m->pcr[pcr];
	bool before = p->between && w->taken[pcr] < p->before;
	uint32_t back = before ? p->back : assay_merge_lack(m, pcr);
	const struct assay_tail_step *first = assay_replay_tail(replay, pcr, back);
	const struct assay_tail_step *last = assay_replay_tail(replay, pcr, back + 1);

	*ret_high = first ? first->index : UINT64_MAX;
	*ret_low = last ? last->index + 1 : assay_replay_floor(replay, pcr);
	if (!before && w->lacking >= *ret_low && w->lacking < *ret_high)
		*ret_high = w->lacking;
}

bool assay_merge_next(struct assay_merge_walk *w, const struct assay_merge *m,
		      struct assay_replay *replay, uint32_t *ret_n, uint64_t *ret_at)
{
	uint64_t low = 0, high = UINT64_MAX, first, last;

	for (*ret_n = 0; w->left > 0; ++*ret_n, w->left--) {
		struct assay_rd next = w->in;
		struct assay_record record;

		if (assay_record_parse(&next, &form, &record, NULL) < 0)
			break;
		find_slot(w, m, replay, record.pcr, &first, &last);
		if (*ret_n > 0 && (first > high || last < low))
			break;
		low = first > low ? first : low;
		high = last < high ? last : high;
		w->taken[record.pcr]++;
		w->in = next;
	}
	*ret_at = high;
	return *ret_n > 0;
}

bool assay_merge_behind(const struct assay_merge_walk *w, const struct assay_merge *m)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		if (m->pcr[p].between && w->taken[p] < m->pcr[p].before)
			return false;
	return true;
}
