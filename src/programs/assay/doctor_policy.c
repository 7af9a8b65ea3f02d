/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the policy asks for and this machine, or this version of assayd, cannot give: by rule. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/macros.h"
#include "engine/core/event.h"
#include "programs/assay/doctor.h"
#include "programs/common/plane.h"

#define CONDS_FS                                                                                   \
	(ASSAY_COND_FSMAGIC | ASSAY_COND_FSNAME | ASSAY_COND_FS_SUBTYPE | ASSAY_COND_FSUUID)
#define RULE_SHOWN 120 /* bytes of a rule's text */

/* ---- loading -------------------------------------------------------------------------------- */

/* What assayd itself looks at before it takes a policy. */
static int compile(struct doctor *d, struct assay_err *err)
{
	struct assay_core_config core = {
		.template = assay_bytes_str(d->conf.template),
		.pcr = d->conf.pcr,
	};

	if (!assay_hash_by_name(assay_bytes_str(d->conf.hash), &core.hash))
		return assay_err_set(err, -EINVAL, "there is no hash '%s'", d->conf.hash);
	if (assay_policy_compile(&d->policy.text, &d->policy.arena, &d->compiled) < 0)
		return assay_err_set(err, -ENOMEM, "out of memory");
	return assay_core_check_policy(&core, d->compiled, err);
}

void doctor_policy_load(struct doctor *d)
{
	const char *name = d->policy_name ? d->policy_name : d->conf.policy;
	struct doctor_advice a = { .check = "policy", .subject = "policy" };
	struct assay_err err = { 0 };
	int r = policy_file_load(&d->policy, name, d->conf.template, &err);

	if (r == -EACCES) {
		doctor_unseen(d, a.check, a.subject, true, name, EACCES);
		return;
	}
	d->has_policy = r == 0;
	if (r == 0)
		r = compile(d, &err);
	if (r == 0) {
		doctor_add(d, &a, "%s, %u rules", name, d->policy.text.n_rules);
		return;
	}
	a.state = DOCTOR_BAD;
	a.means = "assayd does not take it: it does not start, or keeps the policy that it has.";
	a.todo = "'assay policy check FILE' says what may stand there.";
	if (err.line)
		doctor_add(d, &a, "%s:%u:%u: %s", name, err.line, err.column, err.text);
	else
		doctor_add(d, &a, "%s: %s", name, err.text);
}

/* ---- which filesystems a rule means --------------------------------------------------------- */

static bool rule_means(const struct assay_rule *rule, const struct doctor_mount *m)
{
	struct assay_match_facts facts = {
		.hook = rule->func == ASSAY_HOOK_NONE ? ASSAY_HOOK_FILE_CHECK : rule->func,
		.mask = rule->mask,
		.fs.magic = m->magic,
		.fs.name = assay_bytes_str(m->type),
		.fs.subtype = assay_bytes_str(m->subtype),
	};

	memcpy(facts.fs.uuid, m->uuid, sizeof(m->uuid));
	return !(assay_rule_first_mismatch(rule, &facts) & CONDS_FS);
}

/* How many of those that are mounted the rule means, and how many of these are watched, and have
 * fs-verity. */
struct meant {
	unsigned all, watched, verity;
};

static struct meant count_meant(const struct doctor *d, const struct assay_rule *rule)
{
	struct meant n = { 0 };

	for (size_t i = 0; i < d->n_mounts; i++) {
		const struct doctor_mount *m = &d->mount[i];

		if (!rule_means(rule, m))
			continue;
		n.all++;
		n.watched += m->watched;
		n.verity += m->watched && m->verity;
	}
	return n;
}

/* ---- the checks ----------------------------------------------------------------------------- */

static bool is_do(const struct assay_rule *rule)
{
	return rule->action & ASSAY_ACTION_DO_MASK;
}

static bool is_measure(const struct assay_rule *rule)
{
	return rule->action == ASSAY_ACTION_MEASURE;
}

/* It asks for something that assayd does. */
static bool is_done(const struct assay_rule *rule)
{
	return rule->action & ASSAY_ACTION_DO_MASK & PLANE_ACTIONS;
}

static bool asks_appraise(const struct doctor *d, const struct assay_rule *rule)
{
	(void)d;
	return rule->action & ASSAY_ACTION_APPRAISE & ~PLANE_ACTIONS;
}

static bool asks_other(const struct doctor *d, const struct assay_rule *rule)
{
	(void)d;
	return rule->action & ASSAY_ACTION_DO_MASK & ~PLANE_ACTIONS &
	       ~(uint32_t)ASSAY_ACTION_APPRAISE;
}

static bool asks_unseen_hook(const struct doctor *d, const struct assay_rule *rule)
{
	(void)d;
	switch (rule->func) {
	case ASSAY_HOOK_NONE:
	case ASSAY_HOOK_FILE_CHECK:
	case ASSAY_HOOK_MMAP_CHECK:
	case ASSAY_HOOK_BPRM_CHECK:
	case ASSAY_HOOK_CREDS_CHECK:
		return false;
	default:
		return is_done(rule);
	}
}

static bool asks_mmap(const struct doctor *d, const struct assay_rule *rule)
{
	(void)d;
	return is_done(rule) && rule->func == ASSAY_HOOK_MMAP_CHECK;
}

static bool asks_labels(const struct doctor *d, const struct assay_rule *rule)
{
	(void)d;
	return is_do(rule) && rule->conds & ASSAY_COND_LSM;
}

static bool passes_over_labels(const struct doctor *d, const struct assay_rule *rule)
{
	(void)d;
	return !is_do(rule) && rule->conds & ASSAY_COND_LSM;
}

static bool asks_owner(const struct doctor *d, const struct assay_rule *rule)
{
	(void)d;
	return rule->action & PLANE_ACTIONS &&
	       rule->conds & (ASSAY_COND_FOWNER | ASSAY_COND_FGROUP);
}

static bool asks_verity(const struct doctor *d, const struct assay_rule *rule)
{
	struct meant n = count_meant(d, rule);

	return is_measure(rule) && rule->opts & ASSAY_OPT_VERITY_REQUIRED && d->n_mounts &&
	       n.verity == 0;
}

static bool asks_some_verity(const struct doctor *d, const struct assay_rule *rule)
{
	struct meant n = count_meant(d, rule);

	return is_measure(rule) && rule->opts & ASSAY_OPT_VERITY_REQUIRED && n.verity &&
	       n.verity < n.watched;
}

static bool asks_absent_filesystem(const struct doctor *d, const struct assay_rule *rule)
{
	return is_done(rule) && rule->conds & CONDS_FS && d->n_mounts &&
	       count_meant(d, rule).all == 0;
}

static bool asks_unwatched_filesystem(const struct doctor *d, const struct assay_rule *rule)
{
	struct meant n = count_meant(d, rule);

	return is_done(rule) && rule->conds & CONDS_FS && n.all && n.watched == 0 && !*d->root;
}

static const struct rule_check {
	bool (*applies)(const struct doctor *d, const struct assay_rule *rule);
	const char *found;
	struct doctor_advice advice;
} checks[] = {
	{ asks_appraise,
	  "it appraises",
	  { .state = DOCTOR_BAD,
	    .check = "rule-appraise",
	    .means = "This version measures and audits: nothing is refused by this rule.",
	    .todo = "Take it out, and give it to the kernel's own IMA where it must hold." } },
	{ asks_other,
	  "it hashes",
	  { .state = DOCTOR_WARN,
	    .check = "rule-action",
	    .means = "This version measures and audits: the rule is without effect.",
	    .todo = "Take it out, or give it to the kernel's own IMA." } },
	{ asks_unseen_hook,
	  "fanotify has no event for this func",
	  { .state = DOCTOR_WARN,
	    .check = "rule-func",
	    .means = "assayd does nothing by it.",
	    .todo = "Where the kernel has IMA, give it this rule; assayd takes its records "
		    "over." } },
	{ asks_mmap,
	  "a mapping raises no event",
	  { .state = DOCTOR_NOTE,
	    .check = "rule-mmap",
	    .means =
		    "The open of a file that is ELF or has an execute bit stands for it; a mapping "
		    "of any other file is not seen.",
	    .todo = "Mount noexec what has no programs: nothing there is mapped executable." } },
	{ asks_labels,
	  "labels of an LSM are not read",
	  { .state = DOCTOR_BAD,
	    .check = "rule-label",
	    .means = "The rule never matches: what it is for is not done.",
	    .todo = "Name the files by owner or filesystem." } },
	{ passes_over_labels,
	  "labels of an LSM are not read",
	  { .state = DOCTOR_NOTE,
	    .check = "rule-label",
	    .means = "The rule never matches: more is done than it would let.",
	    .todo = "Name the files by owner or filesystem." } },
	{ asks_owner,
	  "it looks at the owner of the file",
	  { .state = DOCTOR_NOTE,
	    .check = "rule-owner",
	    .means = "chown raises no event, so that no verdict is left to the kernel: every open "
		     "waits for a round trip to assayd.",
	    .todo = "uid= or a filesystem of its own says much the same, and costs nothing." } },
	{ asks_verity,
	  "no filesystem that it means has fs-verity",
	  { .state = DOCTOR_BAD,
	    .check = "rule-verity",
	    .means = "A file without an fs-verity digest is a violation in the list.",
	    .todo = "tune2fs -O verity DEVICE (ext4, f2fs; btrfs has it since 5.15), and 'fsverity "
		    "enable FILE'." } },
	{ asks_some_verity,
	  "some filesystems that it means have no fs-verity",
	  { .state = DOCTOR_WARN,
	    .check = "rule-verity",
	    .means = "A file without an fs-verity digest is a violation in the list.",
	    .todo = "Bind the rule to those that have it (fsuuid=, fsname=)." } },
	{ asks_absent_filesystem,
	  "no mounted filesystem is the one that it names",
	  { .state = DOCTOR_WARN,
	    .check = "rule-filesystem",
	    .means = "The rule matches nothing until such a one is mounted.",
	    .todo = "Compare with 'lsblk -f' and /proc/self/mountinfo; a filesystem that was made "
		    "anew has another UUID." } },
	{ asks_unwatched_filesystem,
	  "none of the filesystems that it names is watched",
	  { .state = DOCTOR_WARN,
	    .check = "rule-filesystem",
	    .means = "assayd does nothing by it.",
	    .todo = "See what is said of them under filesystems." } },
};

/* ---- reporting ------------------------------------------------------------------------------ */

static void add(struct doctor *d, const struct assay_rule *rule, struct doctor_advice a,
		const char *found)
{
	char *text = policy_rule_text(rule, true), subject[RULE_SHOWN + 32];

	snprintf(subject, sizeof(subject), "line %u, %.*s", rule->line, RULE_SHOWN,
		 text ? text : "");
	for (size_t n = strlen(subject); n && subject[n - 1] == ' ';)
		subject[--n] = '\0';
	a.subject = subject;
	doctor_facts(doctor_add(d, &a, "%s", found),
		     json_pack("{s:i, s:s}", "line", (int)rule->line, "rule", text ? text : ""));
	free(text);
}

static void look_at_pcr(struct doctor *d, const struct assay_rule *rule)
{
	struct doctor_advice a = { .check = "rule-pcr" };

	if (!is_measure(rule) || !(rule->opts & ASSAY_OPT_PCR) || rule->pcr >= ASSAY_PCRS ||
	    d->pcr_use[rule->pcr].state <= DOCTOR_NOTE)
		return;
	a.state = d->pcr_use[rule->pcr].state;
	a.means = d->pcr_use[rule->pcr].means;
	a.todo = "Another pcr=, or none.";
	add(d, rule, a, "the PCR that it names is not ours");
}

static bool measures_something(const struct doctor *d)
{
	static const enum assay_hook hooks[] = { ASSAY_HOOK_FILE_CHECK, ASSAY_HOOK_MMAP_CHECK,
						 ASSAY_HOOK_BPRM_CHECK, ASSAY_HOOK_CREDS_CHECK };
	bool any = false;

	for (uint32_t i = 0; i < d->policy.text.n_rules; i++)
		any |= is_done(&d->policy.text.rules[i]);
	for (size_t i = 0; any && i < ARRAY_LEN(hooks); i++)
		if (assay_policy_needs(d->compiled, hooks[i]))
			return true;
	return false;
}

void doctor_policy(struct doctor *d)
{
	static const struct doctor_advice nothing = {
		.state = DOCTOR_BAD,
		.check = "policy-empty",
		.subject = "policy",
		.means = "assayd sees FILE_CHECK, MMAP_CHECK, BPRM_CHECK and CREDS_CHECK.",
		.todo = "A rule for one of them; 'assay policy show tcb' has some.",
	};

	if (!d->has_policy)
		return;
	for (uint32_t i = 0; i < d->policy.text.n_rules; i++) {
		const struct assay_rule *rule = &d->policy.text.rules[i];

		for (size_t c = 0; c < ARRAY_LEN(checks); c++)
			if (checks[c].applies(d, rule))
				add(d, rule, checks[c].advice, checks[c].found);
		look_at_pcr(d, rule);
	}
	if (d->compiled && !measures_something(d))
		doctor_add(d, &nothing, "no rule asks for what is seen here");
}
