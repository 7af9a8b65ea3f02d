/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a policy asks of a source before there is an event: facts for a hook, and file systems. */
#include "engine/core/policy_match.h"
#include "formats/template.h"

#define CONDS_FS                                                                                   \
	(ASSAY_COND_FSMAGIC | ASSAY_COND_FSNAME | ASSAY_COND_FS_SUBTYPE | ASSAY_COND_FSUUID)
#define CONDS_OWNER (ASSAY_COND_FOWNER | ASSAY_COND_FGROUP)

static uint32_t conds_need(uint32_t conds)
{
	uint32_t need = 0;

	if (conds & ASSAY_POLICY_CONDS_SUBJECT)
		need |= ASSAY_FACT_SUBJECT;
	if (conds & CONDS_FS)
		need |= ASSAY_FACT_FS;
	if (conds & CONDS_OWNER)
		need |= ASSAY_FACT_OWNER;
	return need;
}

static uint32_t field_needs(enum assay_field field)
{
	switch (field) {
	case ASSAY_FIELD_SIG:
	case ASSAY_FIELD_EVMSIG:
	case ASSAY_FIELD_XATTRNAMES:
	case ASSAY_FIELD_XATTRLENGTHS:
	case ASSAY_FIELD_XATTRVALUES:
		return ASSAY_FACT_XATTRS;
	case ASSAY_FIELD_D_MODSIG:
	case ASSAY_FIELD_MODSIG:
		return ASSAY_FACT_MODSIG;
	case ASSAY_FIELD_IUID:
	case ASSAY_FIELD_IGID:
	case ASSAY_FIELD_IMODE:
		return ASSAY_FACT_OWNER;
	default:
		return 0;
	}
}

/* What the fields of a template need besides path and digest; of none, nothing. */
static uint32_t template_needs(struct assay_bytes name)
{
	struct assay_template t;
	uint32_t need = 0;

	if (name.len == 0 || assay_template_parse(name, &t, NULL) != 0)
		return 0;
	for (uint32_t i = 0; i < t.n_fields; i++)
		need |= field_needs(t.fields[i]);
	return need;
}

/* What the action of a rule that matched takes. */
static uint32_t action_needs(const struct assay_rule *rule, enum assay_hook hook)
{
	uint32_t content =
		ASSAY_FACT_PATH |
		(rule->opts & ASSAY_OPT_VERITY_REQUIRED ? ASSAY_FACT_VERITY : ASSAY_FACT_DIGEST);

	if (hook == ASSAY_HOOK_KEY_CHECK || hook == ASSAY_HOOK_CRITICAL_DATA ||
	    hook == ASSAY_HOOK_KEXEC_CMDLINE)
		return ASSAY_FACT_BUFFER;
	switch (rule->action) {
	case ASSAY_ACTION_MEASURE:
		return content | template_needs(rule->template);
	case ASSAY_ACTION_APPRAISE:
		return content | ASSAY_FACT_XATTRS | ASSAY_FACT_LISTS | ASSAY_FACT_OWNER |
		       (rule->opts & ASSAY_OPT_MODSIG_ALLOWED ? ASSAY_FACT_MODSIG : 0);
	case ASSAY_ACTION_AUDIT:
		return content;
	case ASSAY_ACTION_HASH:
		return content | ASSAY_FACT_XATTRS;
	default: /* dont: but digest_type=verity counts for the other pairs */
		return content & ASSAY_FACT_VERITY;
	}
}

uint32_t assay_policy_needs(const struct assay_policy *p, enum assay_hook hook)
{
	uint32_t need = 0, actions = 0;

	for (uint32_t i = 0; i < p->text.n_rules; i++) {
		const struct assay_rule *rule = &p->text.rules[i];

		if (!(rule->action & p->wanted) || (rule->conds & ASSAY_COND_LSM) ||
		    !assay_rule_has_hook(rule, hook))
			continue;
		actions |= rule->action;
		need |= conds_need(rule->conds) | action_needs(rule, hook);
	}
	return actions & ASSAY_ACTION_DO_MASK ? need : 0;
}

/* Hooks in which a file is opened, mapped, run or loaded. */
static bool is_file_hook(enum assay_hook hook)
{
	switch (hook) {
	case ASSAY_HOOK_NONE:
	case ASSAY_HOOK_POST_SETATTR:
	case ASSAY_HOOK_KEXEC_CMDLINE:
	case ASSAY_HOOK_KEY_CHECK:
	case ASSAY_HOOK_CRITICAL_DATA:
	case ASSAY_HOOK_SETXATTR_CHECK:
	case ASSAY_HOOK_COUNT:
		return false;
	default:
		return true;
	}
}

/* A dont rule that looks at hook and file system alone ends its pair here. */
static bool hook_wants_fs(const struct assay_policy *p, enum assay_hook hook,
			  const struct assay_fs_facts *fs)
{
	const struct assay_policy_bucket *b = assay_policy_bucket(p, hook, fs->magic);
	uint32_t open = p->wanted;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct assay_rule *rule = &p->text.rules[b->rules[i]];

		if (!(rule->action & open) || !assay_rule_fs_holds(rule, fs))
			continue;
		if (rule->action & ASSAY_ACTION_DO_MASK)
			return true;
		if (!(rule->conds & ~(uint32_t)(CONDS_FS | ASSAY_COND_FUNC)))
			open &= ~assay_action_pair(rule->action);
	}
	return false;
}

bool assay_policy_wants_fs(const struct assay_policy *p, const struct assay_fs_facts *fs)
{
	for (unsigned hook = 0; hook < ASSAY_HOOK_COUNT; hook++)
		if (is_file_hook((enum assay_hook)hook) &&
		    hook_wants_fs(p, (enum assay_hook)hook, fs))
			return true;
	return false;
}
