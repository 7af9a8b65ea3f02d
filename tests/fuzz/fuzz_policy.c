/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What parses prints to a text that parses and prints the same; the index matches like the walk. */
#include <stdlib.h>

#include "engine/core/policy.h"

#define PRINT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match_like(const struct assay_policy *p, const struct assay_rule *rule, uint32_t twist)
{
	struct assay_match_facts f = {
		.hook = twist & 1 ? rule->func : (enum assay_hook)(twist % ASSAY_HOOK_COUNT),
		.mask = rule->mask ^ (twist >> 1 & 1),
		.subject = { .uid = rule->uid.id + (twist >> 2 & 1), .egid = rule->gid.id },
		.fs = { .magic = rule->fsmagic, .name = rule->fsname, .subtype = rule->fs_subtype },
		.fowner = rule->fowner.id + (twist >> 3 & 1),
		.label = rule->n_items ? rule->items[0] : rule->fsname,
		.any_subject = twist >> 4 & 1,
	};
	struct assay_match a = { 0 }, b = { 0 };

	assay_policy_match(p, &f, &a);
	assay_policy_match_walk(p, &f, &b);
	if (a.actions != b.actions || a.opts != b.opts || a.pcr != b.pcr || a.algos != b.algos ||
	    a.rule_measure != b.rule_measure || a.rule_hash != b.rule_hash ||
	    a.by_subject != b.by_subject || a.by_mask != b.by_mask)
		abort();
}

/* The arena has the size that was promised to be enough. */
static int parse(struct assay_bytes in, struct assay_arena *arena, struct assay_policy_text *ret)
{
	size_t size = assay_policy_arena_size(in);
	struct assay_err err = { 0 };
	int r;

	assay_arena_init(arena, malloc(size), size);
	r = assay_policy_parse(in, NULL, arena, ret, &err);
	if (r == -12 || (r != 0 && (r != err.code || !err.text[0] || !err.line || !err.column)))
		abort();
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t once[PRINT_MAX], twice[PRINT_MAX];
	struct assay_wr w1 = assay_wr(once, PRINT_MAX), w2 = assay_wr(twice, PRINT_MAX);
	struct assay_policy_text first, second;
	const struct assay_policy *policy;
	struct assay_arena a, b = { 0 };

	if (size <= 8192 && parse(assay_bytes(data, size), &a, &first) == 0) {
		assay_policy_print(&first, &w1);
		if (!assay_wr_ok(&w1) || parse(assay_wr_done(&w1), &b, &second) != 0)
			abort();
		assay_policy_print(&second, &w2);
		if (!assay_bytes_equal(assay_wr_done(&w1), assay_wr_done(&w2)) ||
		    assay_policy_compile(&first, &a, &policy) != 0)
			abort();
		for (uint32_t i = 0; i < first.n_rules && i < 64; i++)
			for (uint32_t twist = 0; twist < 32; twist++)
				match_like(policy, &first.rules[i], twist);
		free(b.base);
		free(a.base);
	} else if (size <= 8192) {
		free(a.base);
	}
	return 0;
}
