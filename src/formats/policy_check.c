/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which action, hook, conditions and options go together: ima_validate_rule() as tables, and the
 * reason in words.
 */
#include <errno.h>

#include "base/fmt.h"
#include "formats/policy_parser.h"

#define CONDS_FS                                                                                   \
	(ASSAY_COND_FSMAGIC | ASSAY_COND_FSNAME | ASSAY_COND_FS_SUBTYPE | ASSAY_COND_FSUUID)
#define CONDS_SUBJECT (ASSAY_COND_UID | ASSAY_COND_EUID | ASSAY_COND_GID | ASSAY_COND_EGID)
#define CONDS_OWNER   (ASSAY_COND_FOWNER | ASSAY_COND_FGROUP)
#define CONDS_CMDLINE (ASSAY_COND_FUNC | CONDS_FS | CONDS_SUBJECT | CONDS_OWNER | ASSAY_COND_LSM)
#define CONDS_FILE    (CONDS_CMDLINE | ASSAY_COND_MASK | ASSAY_COND_INMASK)
#define CONDS_BUFFER  (ASSAY_COND_FUNC | ASSAY_COND_UID | ASSAY_COND_GID)

#define OPTS_BUFFER   (ASSAY_OPT_PCR | ASSAY_OPT_TEMPLATE | ASSAY_OPT_APPRAISE_FLAG)
#define OPTS_CONTENT                                                                               \
	(OPTS_BUFFER | ASSAY_OPT_PERMIT_DIRECTIO | ASSAY_OPT_DIGSIG_REQUIRED |                     \
	 ASSAY_OPT_SIGV3_REQUIRED | ASSAY_OPT_CHECK_BLACKLIST | ASSAY_OPT_ALGOS)
#define OPTS_FILE	(OPTS_CONTENT | ASSAY_OPT_VERITY_REQUIRED)
#define OPTS_READ	(OPTS_CONTENT | ASSAY_OPT_MODSIG_ALLOWED)

#define ACTIONS_ALL	0x03cfu
#define ACTIONS_MEASURE (ASSAY_ACTION_MEASURE | ASSAY_ACTION_DONT_MEASURE)

struct legal {
	uint32_t actions, conds, opts;
};

static const struct legal by_hook[ASSAY_HOOK_COUNT] = {
	[ASSAY_HOOK_NONE] = { ACTIONS_ALL, CONDS_FILE, OPTS_FILE },
	[ASSAY_HOOK_FILE_CHECK] = { ACTIONS_ALL, CONDS_FILE, OPTS_FILE },
	[ASSAY_HOOK_MMAP_CHECK] = { ACTIONS_ALL, CONDS_FILE, OPTS_FILE },
	[ASSAY_HOOK_MMAP_CHECK_REQPROT] = { ACTIONS_ALL, CONDS_FILE, OPTS_FILE },
	[ASSAY_HOOK_BPRM_CHECK] = { ACTIONS_ALL, CONDS_FILE, OPTS_FILE },
	[ASSAY_HOOK_CREDS_CHECK] = { ACTIONS_ALL, CONDS_FILE, OPTS_FILE },
	[ASSAY_HOOK_FIRMWARE_CHECK] = { ACTIONS_ALL, CONDS_FILE, OPTS_FILE },
	[ASSAY_HOOK_POLICY_CHECK] = { ACTIONS_ALL, CONDS_FILE, OPTS_FILE },
	[ASSAY_HOOK_MODULE_CHECK] = { ACTIONS_ALL, CONDS_FILE, OPTS_READ },
	[ASSAY_HOOK_KEXEC_KERNEL_CHECK] = { ACTIONS_ALL, CONDS_FILE, OPTS_READ },
	[ASSAY_HOOK_KEXEC_INITRAMFS_CHECK] = { ACTIONS_ALL, CONDS_FILE, OPTS_READ },
	[ASSAY_HOOK_KEXEC_CMDLINE] = { ACTIONS_MEASURE, CONDS_CMDLINE, OPTS_BUFFER },
	[ASSAY_HOOK_KEY_CHECK] = { ACTIONS_MEASURE, CONDS_BUFFER | ASSAY_COND_KEYRINGS,
				   OPTS_BUFFER },
	[ASSAY_HOOK_CRITICAL_DATA] = { ACTIONS_MEASURE, CONDS_BUFFER | ASSAY_COND_LABEL,
				       OPTS_BUFFER },
	[ASSAY_HOOK_SETXATTR_CHECK] = { ASSAY_ACTION_APPRAISE, ASSAY_COND_FUNC,
					ASSAY_OPT_ALGOS | ASSAY_OPT_APPRAISE_FLAG },
};

/* Options that belong to one action alone. */
#define OPTS_MEASURE_ONLY  (ASSAY_OPT_PCR | ASSAY_OPT_TEMPLATE)
#define OPTS_APPRAISE_ONLY (ASSAY_POLICY_OPTS_SIGNED | ASSAY_OPT_ALGOS)

static uint32_t opts_of_action(uint32_t action)
{
	uint32_t opts = ~0u;

	if (action && action != ASSAY_ACTION_MEASURE)
		opts &= ~(uint32_t)OPTS_MEASURE_ONLY;
	if (action && action != ASSAY_ACTION_APPRAISE)
		opts &= ~(uint32_t)OPTS_APPRAISE_ONLY;
	return opts;
}

/* May @key still be given? */
static bool key_allowed(const struct assay_policy_parser *p, const struct assay_policy_key *key)
{
	const struct assay_rule *rule = p->rule;
	const struct legal *l = &by_hook[rule->func];
	bool again = p->column[assay_policy_key_id(key)] != 0;

	if (again && key->again == ASSAY_AGAIN_REFUSED)
		return false;
	if (key->conds)
		return (l->conds & key->conds) != 0;
	return (l->opts & key->opts & opts_of_action(rule->action)) != 0;
}

static void append_word(char *buf, size_t size, size_t *at, const char *word)
{
	if (*at < size)
		*at += assay_fmt(buf + *at, size - *at, *at ? " %s" : "%s", word);
}

void assay_policy_allowed(const struct assay_policy_parser *p, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	if (!p->rule->action) {
		assay_fmt(buf, size,
			  "an action (measure dont_measure appraise dont_appraise audit dont_audit "
			  "hash dont_hash) or a condition such as func=");
		return;
	}
	for (unsigned i = 0; i < ASSAY_KEY_COUNT; i++) {
		const struct assay_policy_key *key = assay_policy_key((enum assay_policy_key_id)i);
		bool lsm = i > ASSAY_KEY_OBJ_USER && i <= ASSAY_KEY_SUBJ_TYPE;

		if (lsm || i == ASSAY_KEY_APPRAISE_FLAG || !key_allowed(p, key))
			continue;
		append_word(buf, size, &n, i == ASSAY_KEY_OBJ_USER ? "obj_*= subj_*=" : key->word);
	}
	if (n == 0)
		append_word(buf, size, &n, "nothing more");
}

/* The reason why what @key gave does not go with the rest; NULL if it does. */
static const char *key_reason(const struct assay_policy_parser *p,
			      const struct assay_policy_key *key)
{
	const struct assay_rule *rule = p->rule;
	const struct legal *l = &by_hook[rule->func];
	uint32_t opts = rule->opts & key->opts;

	if (opts & ~opts_of_action(rule->action))
		return opts & OPTS_MEASURE_ONLY ? "only with the action measure"
						: "only with the action appraise";
	if (opts & ASSAY_OPT_MODSIG_ALLOWED & ~l->opts)
		return "imasig|modsig only with func=MODULE_CHECK, KEXEC_KERNEL_CHECK or "
		       "KEXEC_INITRAMFS_CHECK";
	if (key->conds & ASSAY_COND_KEYRINGS & ~l->conds)
		return "only with func=KEY_CHECK";
	if (key->conds & ASSAY_COND_LABEL & ~l->conds)
		return "only with func=CRITICAL_DATA";
	if ((rule->conds & key->conds & ~l->conds) || (opts & ~l->opts))
		return "";
	return NULL;
}

static int check_keys(const struct assay_policy_parser *p)
{
	for (unsigned i = 0; i < ASSAY_KEY_COUNT; i++) {
		const struct assay_policy_key *key = assay_policy_key((enum assay_policy_key_id)i);
		const char *reason = p->column[i] ? key_reason(p, key) : NULL;
		char allowed[160];

		if (!reason)
			continue;
		if (*reason)
			return assay_err_at_line(p->err, -EINVAL, p->lex.line, p->column[i],
						 "%s is not allowed here: %s", key->word, reason);
		assay_policy_allowed(p, allowed, sizeof(allowed));
		return assay_err_at_line(p->err, -EINVAL, p->lex.line, p->column[i],
					 "%s is not allowed with func=%s; allowed: %s", key->word,
					 assay_hook_name(p->rule->func), allowed);
	}
	return 0;
}

static int check_action(const struct assay_policy_parser *p)
{
	const struct assay_rule *rule = p->rule;
	const struct legal *l = &by_hook[rule->func];

	if (!rule->action)
		return assay_err_at_line(p->err, -EINVAL, p->lex.line, p->first_column,
					 "the rule has no action; allowed: measure dont_measure "
					 "appraise dont_appraise audit dont_audit hash dont_hash");
	if (rule->action & l->actions)
		return 0;
	return assay_err_at_line(p->err, -EINVAL, p->lex.line, p->action_column,
				 "%s is not allowed with func=%s; allowed: %s",
				 assay_action_name(rule->action), assay_hook_name(rule->func),
				 l->actions == ACTIONS_MEASURE ? "measure dont_measure"
							       : "appraise");
}

int assay_policy_check_rule(struct assay_policy_parser *p)
{
	const struct assay_rule *rule = p->rule;
	int r = check_action(p);

	if (r == 0)
		r = check_keys(p);
	if (r != 0)
		return r;
	if (rule->func == ASSAY_HOOK_SETXATTR_CHECK && !(rule->opts & ASSAY_OPT_ALGOS))
		return assay_err_at_line(p->err, -EINVAL, p->lex.line, p->column[ASSAY_KEY_FUNC],
					 "func=SETXATTR_CHECK needs appraise_algos=");
	if (rule->action == ASSAY_ACTION_APPRAISE && (rule->opts & ASSAY_OPT_VERITY_REQUIRED) &&
	    !(rule->opts & ASSAY_OPT_SIGV3_REQUIRED))
		return assay_err_at_line(
			p->err, -EINVAL, p->lex.line, p->column[ASSAY_KEY_DIGEST_TYPE],
			"digest_type=verity with appraise needs "
			"appraise_type=sigv3: an fs-verity digest can only be signed");
	return 0;
}
