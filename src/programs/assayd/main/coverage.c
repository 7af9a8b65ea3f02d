/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/coverage.h"

#include "base/macros.h"

static uint32_t pcr_of(const struct assay_match *m)
{
	return m->opts & ASSAY_OPT_PCR ? m->pcr : UINT32_MAX;
}

static bool has(const struct coverage *c, const struct assay_match *m)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->done[i].pcr == pcr_of(m) &&
		    assay_bytes_equal(c->done[i].template, m->template))
			return true;
	return false;
}

void coverage_add(struct coverage *c, const struct assay_match *match)
{
	if (!(match->actions & ASSAY_ACTION_MEASURE) || has(c, match) || c->n == ARRAY_LEN(c->done))
		return;
	c->done[c->n].pcr = pcr_of(match);
	c->done[c->n++].template = match->template;
}

bool coverage_holds(const struct coverage *c, const struct assay_policy *policy,
		    const struct assay_match_facts *facts, enum assay_hook hook)
{
	/* What an opener can ask for: open for reading, writing, both, and exec's own open. */
	static const uint32_t masks[] = { ASSAY_MAY_READ, ASSAY_MAY_WRITE,
					  ASSAY_MAY_READ | ASSAY_MAY_WRITE, ASSAY_MAY_EXEC };
	struct assay_match_facts somebody = *facts;
	struct assay_match m;

	somebody.hook = hook;
	somebody.any_subject = true;
	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		somebody.mask = masks[i];
		assay_policy_match(policy, &somebody, &m);
		if (m.by_subject || (m.actions & ASSAY_ACTION_MEASURE && !has(c, &m)) ||
		    (m.actions & ASSAY_ACTION_AUDIT && !c->audited))
			return false;
	}
	return true;
}
