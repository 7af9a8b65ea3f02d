/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the rules say about one event: ima_match_policy() and ima_match_rules(). The order of the
 * checks within a rule is ours: conditions on the object first, so that we know whether the subject
 * or the mask made a difference.
 */
#include "engine/core/policy_match.h"

/* The options that a matching rule hands on whatever its action. */
#define OPTS_SHARED                                                                                \
	(ASSAY_OPT_PERMIT_DIRECTIO | ASSAY_OPT_DIGSIG_REQUIRED | ASSAY_OPT_SIGV3_REQUIRED |        \
	 ASSAY_OPT_MODSIG_ALLOWED | ASSAY_OPT_VERITY_REQUIRED | ASSAY_OPT_CHECK_BLACKLIST)
#define OPTS_ALL (OPTS_SHARED | ASSAY_OPT_PCR | ASSAY_OPT_TEMPLATE | ASSAY_OPT_ALGOS)

/* Pairs in which doing too much for somebody would be a different outcome. */
#define PAIRS_STRICT                                                                               \
	(ASSAY_ACTION_APPRAISE | ASSAY_ACTION_DONT_APPRAISE | ASSAY_ACTION_HASH |                  \
	 ASSAY_ACTION_DONT_HASH)

struct walk {
	const struct assay_match_facts *facts;
	struct assay_match *match;
	uint32_t open; /* actions of the pairs that are not decided */
	/* any_subject: pairs decided for some subjects only, by a rule without options; and pairs
	 * in which a dont rule for some subjects was passed over. */
	uint32_t shadow, unsure;
};

static bool id_holds(const struct assay_id_cond *cond, uint32_t id)
{
	switch (cond->op) {
	case ASSAY_IDOP_GT:
		return id > cond->id;
	case ASSAY_IDOP_LT:
		return id < cond->id;
	default:
		return id == cond->id;
	}
}

static bool euid_holds(const struct assay_rule *rule, const struct assay_subject *s)
{
	if (id_holds(&rule->uid, s->euid))
		return true;
	return s->cap_setuid && (id_holds(&rule->uid, s->suid) || id_holds(&rule->uid, s->uid));
}

static bool egid_holds(const struct assay_rule *rule, const struct assay_subject *s)
{
	if (id_holds(&rule->gid, s->egid))
		return true;
	return s->cap_setgid && (id_holds(&rule->gid, s->sgid) || id_holds(&rule->gid, s->gid));
}

/* The first condition on the subject that fails, or 0. */
static uint32_t subject_mismatch(const struct assay_rule *rule, const struct assay_subject *s)
{
	if ((rule->conds & ASSAY_COND_UID) && !id_holds(&rule->uid, s->uid))
		return ASSAY_COND_UID;
	if ((rule->conds & ASSAY_COND_EUID) && !euid_holds(rule, s))
		return ASSAY_COND_EUID;
	if ((rule->conds & ASSAY_COND_GID) && !id_holds(&rule->gid, s->gid))
		return ASSAY_COND_GID;
	if ((rule->conds & ASSAY_COND_EGID) && !egid_holds(rule, s))
		return ASSAY_COND_EGID;
	return 0;
}

static uint32_t fs_mismatch(const struct assay_rule *rule, const struct assay_fs_facts *fs)
{
	if ((rule->conds & ASSAY_COND_FSMAGIC) && rule->fsmagic != fs->magic)
		return ASSAY_COND_FSMAGIC;
	if ((rule->conds & ASSAY_COND_FSNAME) && !assay_bytes_equal(rule->fsname, fs->name))
		return ASSAY_COND_FSNAME;
	if ((rule->conds & ASSAY_COND_FS_SUBTYPE) &&
	    !assay_bytes_equal(rule->fs_subtype, fs->subtype))
		return ASSAY_COND_FS_SUBTYPE;
	if ((rule->conds & ASSAY_COND_FSUUID) &&
	    memcmp(rule->fsuuid, fs->uuid, sizeof(rule->fsuuid)) != 0)
		return ASSAY_COND_FSUUID;
	return 0;
}

bool assay_rule_fs_holds(const struct assay_rule *rule, const struct assay_fs_facts *fs)
{
	return fs_mismatch(rule, fs) == 0;
}

static uint32_t owner_mismatch(const struct assay_rule *rule, const struct assay_match_facts *f)
{
	if ((rule->conds & ASSAY_COND_FOWNER) && !id_holds(&rule->fowner, f->fowner))
		return ASSAY_COND_FOWNER;
	if ((rule->conds & ASSAY_COND_FGROUP) && !id_holds(&rule->fgroup, f->fgroup))
		return ASSAY_COND_FGROUP;
	return 0;
}

static bool is_buffer_hook(enum assay_hook hook)
{
	return hook == ASSAY_HOOK_KEY_CHECK || hook == ASSAY_HOOK_CRITICAL_DATA;
}

bool assay_rule_has_hook(const struct assay_rule *rule, enum assay_hook hook)
{
	if (is_buffer_hook(hook) || is_buffer_hook(rule->func))
		return rule->func == hook;
	return rule->func == ASSAY_HOOK_NONE || rule->func == hook ||
	       hook == ASSAY_HOOK_POST_SETATTR;
}

/* keyrings= and label= */
static bool items_hold(const struct assay_rule *rule, struct assay_bytes label)
{
	for (uint32_t i = 0; i < rule->n_items; i++)
		if (assay_bytes_equal(rule->items[i], label))
			return true;
	return !(rule->conds & (ASSAY_COND_KEYRINGS | ASSAY_COND_LABEL));
}

static bool mask_holds(const struct assay_rule *rule, const struct assay_match_facts *f)
{
	if (!(rule->conds & ASSAY_COND_MASK) || f->hook == ASSAY_HOOK_POST_SETATTR)
		return true;
	return rule->conds & ASSAY_COND_INMASK ? (rule->mask & f->mask) != 0
					       : rule->mask == f->mask;
}

/* The conditions that the kernel looks at for this hook. */
static uint32_t conds_seen(const struct assay_rule *rule, enum assay_hook hook)
{
	if (is_buffer_hook(hook))
		return rule->conds & (ASSAY_COND_UID | ASSAY_COND_KEYRINGS | ASSAY_COND_LABEL);
	if (hook == ASSAY_HOOK_POST_SETATTR)
		return rule->conds & ~(uint32_t)(ASSAY_COND_MASK | ASSAY_COND_INMASK);
	return rule->conds;
}

static bool object_holds(const struct assay_rule *rule, const struct assay_match_facts *f)
{
	if (!assay_rule_has_hook(rule, f->hook))
		return false;
	if (is_buffer_hook(f->hook))
		return items_hold(rule, f->label);
	return fs_mismatch(rule, &f->fs) == 0 && owner_mismatch(rule, f) == 0 &&
	       !(rule->conds & ASSAY_COND_LSM);
}

static bool subject_holds(const struct assay_rule *rule, const struct assay_match_facts *f)
{
	uint32_t failed = subject_mismatch(rule, &f->subject);

	/* Rules about buffers may say gid=, and the kernel does not look at it. */
	return failed == 0 || (is_buffer_hook(f->hook) && failed != ASSAY_COND_UID);
}

uint32_t assay_rule_first_mismatch(const struct assay_rule *rule, const struct assay_match_facts *f)
{
	uint32_t failed;

	if (!assay_rule_has_hook(rule, f->hook))
		return ASSAY_COND_FUNC;
	if (is_buffer_hook(f->hook)) {
		if (!subject_holds(rule, f))
			return ASSAY_COND_UID;
		return items_hold(rule, f->label)
			       ? 0
			       : rule->conds & (ASSAY_COND_KEYRINGS | ASSAY_COND_LABEL);
	}
	if (!mask_holds(rule, f))
		return ASSAY_COND_MASK;
	failed = fs_mismatch(rule, &f->fs);
	if (!failed)
		failed = subject_mismatch(rule, &f->subject);
	if (!failed)
		failed = owner_mismatch(rule, f);
	return failed ? failed : rule->conds & ASSAY_COND_LSM;
}

static uint32_t *rule_slot(struct assay_match *m, uint32_t action)
{
	switch (action) {
	case ASSAY_ACTION_MEASURE:
	case ASSAY_ACTION_DONT_MEASURE:
		return &m->rule_measure;
	case ASSAY_ACTION_APPRAISE:
	case ASSAY_ACTION_DONT_APPRAISE:
		return &m->rule_appraise;
	case ASSAY_ACTION_AUDIT:
	case ASSAY_ACTION_DONT_AUDIT:
		return &m->rule_audit;
	default:
		return &m->rule_hash;
	}
}

/* A rule that matches decides its pair, and adds its options. */
static void decide(struct walk *w, const struct assay_rule *rule, uint32_t index)
{
	struct assay_match *m = w->match;

	m->opts |= rule->opts & OPTS_ALL;
	m->actions |= rule->action & ASSAY_ACTION_DO_MASK;
	if (rule->action == ASSAY_ACTION_APPRAISE)
		m->actions &= ~(uint32_t)ASSAY_ACTION_HASH;
	if (rule->opts & ASSAY_OPT_PCR)
		m->pcr = rule->pcr;
	if (rule->opts & ASSAY_OPT_TEMPLATE)
		m->template = rule->template;
	if (rule->opts & ASSAY_OPT_ALGOS)
		m->algos = rule->algos;
	*rule_slot(m, rule->action) = index;
	w->open &= ~assay_action_pair(rule->action);
}

/* any_subject: a rule whose other conditions hold, see assay_policy_match(). */
static void consider_for_somebody(struct walk *w, const struct assay_rule *rule, uint32_t index)
{
	bool some_only = conds_seen(rule, w->facts->hook) & ASSAY_POLICY_CONDS_SUBJECT;
	uint32_t pair = assay_action_pair(rule->action);
	bool has_opts = rule->opts & OPTS_ALL;

	if (some_only && (pair & PAIRS_STRICT))
		w->match->by_subject = true;
	if (has_opts && (some_only || ((w->unsure | w->shadow) & pair)))
		w->match->by_subject = true;
	if (!(w->open & pair)) {
		if (!some_only)
			w->shadow &= ~pair;
	} else if (some_only && !(rule->action & ASSAY_ACTION_DO_MASK)) {
		w->unsure |= pair;
	} else {
		decide(w, rule, index);
		if (some_only)
			w->shadow |= pair;
	}
}

static inline void consider(struct walk *w, const struct assay_rule *rule, uint32_t index)
{
	const struct assay_match_facts *f = w->facts;
	uint32_t seen;

	if (!(rule->action & (w->open | w->shadow)) || !object_holds(rule, f))
		return;
	seen = conds_seen(rule, f->hook);
	if (seen & ASSAY_COND_MASK) {
		w->match->by_mask = true;
		w->match->pairs_by_mask |= assay_action_pair(rule->action) & ASSAY_ACTION_DO_MASK;
	}
	if (f->any_subject || f->unseen_subject) {
		if (mask_holds(rule, f))
			consider_for_somebody(w, rule, index);
		return;
	}
	if (seen & ASSAY_POLICY_CONDS_SUBJECT)
		w->match->by_subject = true;
	if (mask_holds(rule, f) && subject_holds(rule, f))
		decide(w, rule, index);
}

static void begin(struct walk *w, const struct assay_policy *p,
		  const struct assay_match_facts *facts, struct assay_match *ret)
{
	*ret = (struct assay_match){
		.rule_measure = ASSAY_NO_RULE,
		.rule_appraise = ASSAY_NO_RULE,
		.rule_audit = ASSAY_NO_RULE,
		.rule_hash = ASSAY_NO_RULE,
	};
	*w = (struct walk){ .facts = facts, .match = ret, .open = p->wanted };
}

void assay_policy_match(const struct assay_policy *p, const struct assay_match_facts *facts,
			struct assay_match *ret)
{
	const struct assay_policy_bucket *b = assay_policy_bucket(p, facts->hook, facts->fs.magic);
	struct walk w;

	begin(&w, p, facts, ret);
	w.open &= b->actions; /* no rule here decides the others */
	for (uint32_t i = 0; i < b->n && (w.open | w.shadow); i++)
		consider(&w, &p->text.rules[b->rules[i]], b->rules[i]);
}

void assay_policy_match_walk(const struct assay_policy *p, const struct assay_match_facts *facts,
			     struct assay_match *ret)
{
	struct walk w;

	begin(&w, p, facts, ret);
	for (uint32_t i = 0; i < p->text.n_rules; i++)
		consider(&w, &p->text.rules[i], i);
}
