/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/merge.h"

#include <errno.h>

struct search {
	const struct assay_crypto *crypto;
	const struct assay_banks *banks;
	struct assay_replay *replay;
	const struct assay_merge_input *in;
};

/* The first bank decides nearly always, the others are computed when it agrees. */
static int extend(const struct search *s, uint32_t bank, const struct assay_pcr_value *digest,
		  struct assay_pcr_value *value)
{
	size_t size = assay_hash_size(s->banks->alg[bank]);
	uint8_t buf[2 * ASSAY_HASH_SIZE_MAX];

	memcpy(buf, value->value[bank], size);
	memcpy(buf + size, digest->value[bank], size);
	return s->crypto->ops->hash(s->crypto->ctx, s->banks->alg[bank], assay_bytes(buf, 2 * size),
				    value->value[bank]);
}

static bool is_seen(const struct search *s, uint32_t bank, const struct assay_pcr_value *value)
{
	return memcmp(value->value[bank], s->in->seen->value[bank],
		      assay_hash_size(s->banks->alg[bank])) == 0;
}

static const struct assay_pcr_value *value_before(const struct search *s, uint32_t back)
{
	const struct assay_tail_step *t;

	if (back == 0)
		return assay_replay_value(s->replay, s->in->pcr, ASSAY_EXTEND_REAL);
	t = assay_replay_tail(s->replay, s->in->pcr, back);
	return t ? &t->before[ASSAY_EXTEND_REAL] : NULL;
}

static int extend_own(const struct search *s, uint32_t bank, uint32_t back,
		      struct assay_pcr_value *value)
{
	return extend(s, bank, &assay_replay_tail(s->replay, s->in->pcr, back)->digests, value);
}

/* From @value, which has the kernel's: the rest of our steps, until what was seen is met. */
static int try_behind(const struct search *s, uint32_t bank, struct assay_pcr_value value,
		      struct assay_merge *m)
{
	uint32_t left = m->back - m->between;
	int rc = 0;

	for (m->behind = 0; rc == 0; m->behind++) {
		if (is_seen(s, bank, &value))
			return 0;
		if (m->behind == left)
			return -ENOENT;
		rc = extend_own(s, bank, left - m->behind, &value);
	}
	return rc;
}

/* From @value, which has the kernel's first @m->before: ours, then the kernel's, then ours. The
 * kernel counts a record before it extends it, so that the last may be missing. */
static int try_rest(const struct search *s, uint32_t bank, struct assay_pcr_value value,
		    struct assay_merge *m)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < m->between; i++)
		rc = extend_own(s, bank, m->back - i, &value);
	for (m->taken = m->before; rc == 0; m->taken++) {
		rc = m->taken + 1 >= s->in->n ? try_behind(s, bank, value, m) : -ENOENT;
		if (rc != -ENOENT || m->taken == s->in->n)
			return rc;
		rc = extend(s, bank, &s->in->digests[m->taken], &value);
	}
	return rc;
}

static int try_bank(const struct search *s, uint32_t bank, struct assay_merge *m)
{
	struct assay_pcr_value value = *value_before(s, m->back);
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < m->before; i++)
		rc = extend(s, bank, &s->in->digests[i], &value);
	return rc < 0 ? rc : try_rest(s, bank, value, m);
}

/* All the other banks must say the same. */
static int confirm(const struct search *s, const struct assay_merge *m)
{
	for (uint32_t bank = 1; bank < s->banks->n; bank++) {
		struct assay_merge other = *m;
		int rc = try_bank(s, bank, &other);

		if (rc == 0 && (other.taken != m->taken || other.behind != m->behind))
			rc = -ENOENT;
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* All splits of the kernel's records around @between of our steps; none: they all came before. */
static int try_splits(const struct search *s, struct assay_merge *m)
{
	struct assay_pcr_value value = *value_before(s, m->back);
	uint32_t last = m->between > 0 ? s->in->n : 0;

	for (m->before = 0;; m->before++) {
		int rc = try_rest(s, 0, value, m);

		if (rc == 0)
			rc = confirm(s, m);
		if (rc != -ENOENT || m->before == last)
			return rc;
		rc = extend(s, 0, &s->in->digests[m->before], &value);
		if (rc < 0)
			return rc;
	}
}

int assay_merge_find(const struct assay_crypto *crypto, const struct assay_banks *banks,
		     struct assay_replay *replay, const struct assay_merge_input *in,
		     struct assay_merge *ret)
{
	struct search s = { crypto, banks, replay, in };
	struct assay_merge m = { 0 };
	int rc = -ENOENT;

	if (in->n > ASSAY_MERGE_MAX || banks->n == 0)
		return -ENOENT;
	for (; rc == -ENOENT && value_before(&s, m.back); m.back++) {
		uint32_t tries[] = { 0, 1, m.back };
		uint32_t n = in->n == 0 || m.back == 0 ? 1 : m.back == 1 ? 2 : 3;

		for (uint32_t i = 0; rc == -ENOENT && i < n; i++) {
			m.between = tries[i];
			rc = try_splits(&s, &m);
		}
		if (rc == 0)
			break;
	}
	if (rc == 0)
		*ret = m;
	return rc;
}
