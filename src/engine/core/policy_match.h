/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files of the compiled policy, and nobody else. */
#pragma once

#include "engine/core/policy.h"

/* File systems that are named by fsmagic= and have rule lists of their own; rules that name others
 * are in the common list and look at the number. */
#define ASSAY_POLICY_CLASSES_MAX 32u

/* Indexes of the rules that can match a hook on a class of file systems, in the policy's order. */
struct assay_policy_bucket {
	const uint16_t *rules;
	uint32_t n;
	uint32_t actions; /* of the rules, OR-ed */
};

struct assay_policy {
	struct assay_policy_text text;
	uint32_t wanted;    /* do and dont bits of each pair that has a do rule somewhere */
	uint32_t n_classes; /* magic[] is sorted; the class behind the last is "any other" */
	uint64_t magic[ASSAY_POLICY_CLASSES_MAX];
	struct assay_policy_bucket bucket[ASSAY_HOOK_COUNT][ASSAY_POLICY_CLASSES_MAX + 1];
};

#define ASSAY_POLICY_CONDS_SUBJECT                                                                 \
	(ASSAY_COND_UID | ASSAY_COND_EUID | ASSAY_COND_GID | ASSAY_COND_EGID)

const struct assay_policy_bucket *assay_policy_bucket(const struct assay_policy *p,
						      enum assay_hook hook, uint64_t magic);

/* Can the rule match this hook at all (POST_SETATTR: any hook's rules about files)? */
bool assay_rule_has_hook(const struct assay_rule *rule, enum assay_hook hook);
/* Conditions on the file system. */
bool assay_rule_fs_holds(const struct assay_rule *rule, const struct assay_fs_facts *fs);

/* Both bits of the pair that @action belongs to. */
static inline uint32_t assay_action_pair(uint32_t action)
{
	return action & ASSAY_ACTION_DO_MASK ? action | action << 1 : action | action >> 1;
}
