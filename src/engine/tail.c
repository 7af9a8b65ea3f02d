/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/tail.h"

#include <errno.h>

static uint64_t first_kept(const struct assay_tail *t)
{
	return t->pushed > ASSAY_TAIL_MAX ? t->pushed - ASSAY_TAIL_MAX : 0;
}

struct assay_tail_step *assay_tail_push(struct assay_tail *t, uint32_t pcr, uint64_t index)
{
	struct assay_tail_step *s = &t->step[t->pushed % ASSAY_TAIL_MAX];

	if (t->pushed >= ASSAY_TAIL_MAX)
		assay_tail_close(t, s->pcr, s->index + 1);
	t->pushed++;
	s->pcr = pcr;
	s->index = index;
	return s;
}

void assay_tail_close(struct assay_tail *t, uint32_t pcr, uint64_t index)
{
	if (t->floor[pcr] < index)
		t->floor[pcr] = index;
}

struct assay_tail_step *assay_tail_at(struct assay_tail *t, uint32_t pcr, uint32_t back)
{
	for (uint64_t i = t->pushed; i > first_kept(t); i--) {
		struct assay_tail_step *s = &t->step[(i - 1) % ASSAY_TAIL_MAX];

		if (s->pcr != pcr)
			continue;
		if (s->index < t->floor[pcr])
			return NULL;
		if (--back == 0)
			return s;
	}
	return NULL;
}

int assay_tail_count(const struct assay_tail *t, uint32_t pcr, uint64_t index, uint32_t *ret)
{
	*ret = 0;
	if (index < t->floor[pcr])
		return -ERANGE;
	for (uint64_t i = first_kept(t); i < t->pushed; i++) {
		const struct assay_tail_step *s = &t->step[i % ASSAY_TAIL_MAX];

		*ret += s->pcr == pcr && s->index >= index;
	}
	return 0;
}

uint32_t assay_tail_from(const struct assay_tail *t, uint64_t index)
{
	uint32_t n = 0;

	for (uint64_t i = first_kept(t); i < t->pushed; i++)
		n += t->step[i % ASSAY_TAIL_MAX].index >= index;
	return n;
}
