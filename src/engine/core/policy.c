/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compiling a policy: for each hook and each file system that fsmagic= names, the list of the rules
 * that can match there, in the policy's order. What is known about a policy without an event is
 * here too: which facts it needs, which file systems it wants.
 */
#include <errno.h>

#include "engine/core/policy_match.h"

/* List entries a rule, at most; with more classes than this allows, fewer get lists. */
#define ENTRIES_PER_RULE 192u

static bool rule_in_class(const struct assay_policy *p, const struct assay_rule *rule, uint32_t cls)
{
	if (!(rule->conds & ASSAY_COND_FSMAGIC))
		return true;
	if (cls < p->n_classes)
		return rule->fsmagic == p->magic[cls];
	for (uint32_t i = 0; i < p->n_classes; i++)
		if (p->magic[i] == rule->fsmagic)
			return false;
	return true;
}

/* A rule that never matches any event of @hook need not be in its lists. */
static bool rule_in_hook(const struct assay_policy *p, const struct assay_rule *rule,
			 enum assay_hook hook)
{
	return (rule->action & p->wanted) && !(rule->conds & ASSAY_COND_LSM) &&
	       assay_rule_has_hook(rule, hook);
}

static uint32_t find_class(const struct assay_policy *p, uint64_t magic)
{
	uint32_t low = 0, high = p->n_classes;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (p->magic[mid] == magic)
			return mid;
		if (p->magic[mid] < magic)
			low = mid + 1;
		else
			high = mid;
	}
	return p->n_classes;
}

const struct assay_policy_bucket *assay_policy_bucket(const struct assay_policy *p,
						      enum assay_hook hook, uint64_t magic)
{
	static const struct assay_policy_bucket empty;
	bool buffer = hook == ASSAY_HOOK_KEY_CHECK || hook == ASSAY_HOOK_CRITICAL_DATA;

	if ((unsigned)hook >= ASSAY_HOOK_COUNT)
		return &empty;
	return &p->bucket[hook][buffer ? p->n_classes : find_class(p, magic)];
}

static void add_class(struct assay_policy *p, uint64_t magic)
{
	uint32_t at = p->n_classes;

	if (p->n_classes == ASSAY_POLICY_CLASSES_MAX || find_class(p, magic) < p->n_classes)
		return;
	for (; at > 0 && p->magic[at - 1] > magic; at--)
		p->magic[at] = p->magic[at - 1];
	p->magic[at] = magic;
	p->n_classes++;
}

static uint64_t count_entries(const struct assay_policy *p)
{
	uint64_t n = 0;

	for (unsigned hook = 0; hook < ASSAY_HOOK_COUNT; hook++)
		for (uint32_t i = 0; i < p->text.n_rules; i++) {
			const struct assay_rule *rule = &p->text.rules[i];

			if (rule_in_hook(p, rule, (enum assay_hook)hook))
				n += rule->conds & ASSAY_COND_FSMAGIC ? 1 : p->n_classes + 1;
		}
	return n;
}

/* Every file system that is named, or fewer if their lists would pass the memory bound. */
static uint64_t choose_classes(struct assay_policy *p)
{
	uint64_t n;

	for (uint32_t i = 0; i < p->text.n_rules; i++)
		if (p->text.rules[i].conds & ASSAY_COND_FSMAGIC)
			add_class(p, p->text.rules[i].fsmagic);
	for (n = count_entries(p); p->n_classes > 0; n = count_entries(p)) {
		if (n <= (uint64_t)ENTRIES_PER_RULE * p->text.n_rules)
			break;
		p->n_classes /= 2;
	}
	return n;
}

static void fill_bucket(const struct assay_policy *p, enum assay_hook hook, uint32_t cls,
			uint16_t *entries, struct assay_policy_bucket *ret)
{
	*ret = (struct assay_policy_bucket){ .rules = entries };
	for (uint32_t i = 0; i < p->text.n_rules; i++) {
		const struct assay_rule *rule = &p->text.rules[i];

		if (!rule_in_hook(p, rule, hook) || !rule_in_class(p, rule, cls))
			continue;
		entries[ret->n++] = (uint16_t)i;
		ret->actions |= assay_action_pair(rule->action);
	}
}
_Static_assert(ASSAY_POLICY_RULES_MAX <= UINT16_MAX, "a rule's index fits a list entry");

static uint32_t find_wanted(const struct assay_policy_text *text)
{
	uint32_t actions = 0;

	/* SETXATTR_CHECK is no event: it does not turn appraisal on (ima_update_policy_flags()). */
	for (uint32_t i = 0; i < text->n_rules; i++)
		if (text->rules[i].func != ASSAY_HOOK_SETXATTR_CHECK)
			actions |= text->rules[i].action & ASSAY_ACTION_DO_MASK;
	return actions | actions << 1;
}

int assay_policy_compile(const struct assay_policy_text *text, struct assay_arena *arena,
			 const struct assay_policy **ret)
{
	struct assay_policy *p;
	uint16_t *entries;
	uint64_t n;

	if (text->n_rules > ASSAY_POLICY_RULES_MAX)
		return -E2BIG;
	p = assay_arena_alloc(arena, 1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->text = *text;
	p->wanted = find_wanted(text);
	n = choose_classes(p);
	entries = assay_arena_alloc(arena, n + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (unsigned hook = 0; hook < ASSAY_HOOK_COUNT; hook++)
		for (uint32_t cls = 0; cls <= p->n_classes; cls++) {
			struct assay_policy_bucket *b = &p->bucket[hook][cls];

			fill_bucket(p, (enum assay_hook)hook, cls, entries, b);
			entries += b->n;
		}
	*ret = p;
	return 0;
}

const struct assay_policy_text *assay_policy_text(const struct assay_policy *p)
{
	return &p->text;
}
