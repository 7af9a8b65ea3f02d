/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/judge.h"

#include <errno.h>

#include "backends/source_fanotify/lease.h"
#include "backends/source_fanotify/opener.h"
#include "programs/assayd/audit/audit_file.h"
#include "programs/assayd/peek/peek.h"
#include "programs/assayd/worker/worker_msg.h"

/* ---- facts that main has itself ------------------------------------------------------------- */

/* The credentials that the kernel would have computed for CREDS_CHECK, from the file's mode. */
static void change_ids(const struct judge_case *c, struct assay_subject *s)
{
	if (c->st.st_mode & S_ISUID)
		s->euid = s->suid = c->st.st_uid;
	if ((c->st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		s->egid = s->sgid = c->st.st_gid;
}

/* Who opens, and what for: one question, and only where something depends on it. */
static const struct peek_opener *find_opener(struct hearing *h)
{
	if (!h->has_opener && peek_opener(h->daemon->peek, h->c.tid, &h->opener) < 0)
		h->opener = (struct peek_opener){ 0 };
	h->has_opener = true;
	return &h->opener;
}

/* Of the opener, or of nobody in particular if it cannot be seen: then what holds for somebody. */
static void find_subject(struct hearing *h, struct assay_match_facts *match)
{
	const struct peek_opener *o = find_opener(h);

	match->subject = o->subject;
	match->unseen_subject = !o->seen;
	if (o->seen && match->hook == ASSAY_HOOK_CREDS_CHECK)
		change_ids(&h->c, &match->subject);
}

static bool has_execute_bit(const struct hearing *h)
{
	return h->c.st.st_mode & 0111;
}

/* What the opener asks for, and whether somebody else may be writing. A lease proves that the
 * opener does not write, and what has no execute bit is not executed; else it is asked. */
static void find_access(struct hearing *h)
{
	h->access = ASSAY_MAY_READ;
	if (h->eager || h->c.late || (!h->has_writer && !has_execute_bit(h)))
		return;
	h->access = find_opener(h)->access;
	h->access_unknown = h->access == 0;
	if (!h->has_writer) {
		h->access = h->access & ASSAY_MAY_EXEC ? ASSAY_MAY_EXEC : ASSAY_MAY_READ;
		return;
	}
	if (h->access == 0)
		h->access = ASSAY_MAY_READ;
	h->reads_writer = !(h->access & ASSAY_MAY_WRITE);
}

/* ---- the plan ------------------------------------------------------------------------------- */

struct planning {
	struct hearing *h;
	struct judge_plan *plan;
	struct coverage coverage;
	bool mappable, open_writers;
	struct assay_match match[JUDGE_ASKS_MAX]; /* of each ask */
};

/* For who opens. */
static void match_opener(struct hearing *h, struct assay_match_facts *match,
			 struct assay_match *ret)
{
	if (assay_policy_needs(h->policy->compiled, match->hook) & ASSAY_FACT_SUBJECT)
		find_subject(h, match);
	assay_policy_match(h->policy->compiled, match, ret);
}

/* In eager mode for somebody, unless that has no answer that holds for all. */
static void match_for(struct hearing *h, struct assay_match_facts *match, struct assay_match *ret)
{
	const struct assay_policy *p = h->policy->compiled;

	if (h->eager) {
		match->any_subject = true;
		assay_policy_match(p, match, ret);
		if (!ret->by_subject)
			return;
		match->any_subject = false;
	}
	match_opener(h, match, ret);
}

/* What a hook may have been asked for. Where that is not known, the first for which the policy does
 * @action: a record too many, and none is lost. A lease proves that nobody writes. */
static void match_masks(struct hearing *h, struct assay_match_facts *match, bool known,
			enum assay_action action,
			void (*by)(struct hearing *h, struct assay_match_facts *match,
				   struct assay_match *ret),
			struct assay_match *ret)
{
	static const uint32_t others[] = { ASSAY_MAY_READ, ASSAY_MAY_WRITE,
					   ASSAY_MAY_READ | ASSAY_MAY_WRITE, ASSAY_MAY_EXEC };
	const struct assay_match_facts asked = *match;

	by(h, match, ret);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (known || ret->actions & action)
			return;
		if (h->leased && others[i] & ASSAY_MAY_WRITE)
			continue;
		*match = asked;
		match->mask = others[i];
		by(h, match, ret);
	}
}

static uint32_t digest_of(const struct assay_match *m)
{
	return m->opts & ASSAY_OPT_VERITY_REQUIRED ? WORKER_VERITY : WORKER_DIGEST;
}

/* An earlier hook makes the same record. */
static bool is_planned(const struct planning *p, const struct assay_match *m)
{
	for (uint32_t i = 0; i < p->plan->n; i++) {
		const struct assay_match *o = &p->match[i];

		if (digest_of(m) == digest_of(o) &&
		    (m->opts & ASSAY_OPT_PCR) == (o->opts & ASSAY_OPT_PCR) &&
		    (!(m->opts & ASSAY_OPT_PCR) || m->pcr == o->pcr) &&
		    assay_bytes_equal(m->template, o->template))
			return true;
	}
	return false;
}

/* Does what happens here match a rule that audits? */
static void plan_audit(struct planning *p, enum assay_hook hook, uint32_t mask)
{
	struct hearing *h = p->h;
	struct assay_match_facts match = h->object;
	bool exec_hook = hook == ASSAY_HOOK_BPRM_CHECK || hook == ASSAY_HOOK_CREDS_CHECK;
	bool known = !h->access_unknown || hook != ASSAY_HOOK_FILE_CHECK;
	struct assay_match m;

	if (!h->policy->audits || exec_hook != h->c.exec)
		return;
	match.hook = hook;
	match.mask = mask;
	if (h->eager && hook == ASSAY_HOOK_FILE_CHECK) {
		uint32_t access = find_opener(h)->access;

		known = access != 0;
		match.mask = known ? access : mask;
	}
	match_masks(h, &match, known, ASSAY_ACTION_AUDIT, match_opener, &m);
	if (!(m.actions & ASSAY_ACTION_AUDIT))
		return;
	p->plan->audit[p->plan->n_audits++] = (struct judge_audit){
		.hook = hook,
		.rule = assay_policy_text(h->policy->compiled)->rules[m.rule_audit].line,
		.verity = digest_of(&m) == WORKER_VERITY,
	};
	p->plan->wanted |= digest_of(&m);
	p->coverage.audited = true;
}

static void plan_hook(struct planning *p, enum assay_hook hook, uint32_t mask)
{
	struct hearing *h = p->h;
	struct assay_match_facts match = h->object;
	struct assay_match m;

	if (assay_policy_needs(h->policy->compiled, hook) == 0)
		return;
	match.hook = hook;
	match.mask = mask;
	match_masks(h, &match, !h->access_unknown || hook != ASSAY_HOOK_FILE_CHECK,
		    ASSAY_ACTION_MEASURE, match_for, &m);
	coverage_add(&p->coverage, &m);
	plan_audit(p, hook, mask);
	if (!(m.actions & ASSAY_ACTION_MEASURE) || is_planned(p, &m))
		return;
	p->match[p->plan->n] = m;
	p->plan->ask[p->plan->n++] = (struct judge_ask){
		.hook = hook,
		.mask = match.mask,
		.any_subject = match.any_subject,
		.unseen_subject = match.unseen_subject,
		.open_writers = p->open_writers,
	};
	p->plan->wanted |= digest_of(&m);
	p->open_writers = false; /* said once */
}

static void plan_hooks(struct planning *p)
{
	struct hearing *h = p->h;
	const struct judge_case *c = &h->c;

	if (!c->exec || h->eager || c->late) {
		p->open_writers = h->reads_writer;
		if (!c->late)
			plan_hook(p, ASSAY_HOOK_FILE_CHECK, h->access);
		if ((p->mappable || c->late) && h->access != ASSAY_MAY_WRITE)
			plan_hook(p, ASSAY_HOOK_MMAP_CHECK, ASSAY_MAY_EXEC);
	}
	if (c->exec || (h->eager && p->mappable && !c->late)) {
		/* The kernel looks for writers after our answer; one of now may be done by then. */
		p->open_writers = h->has_writer && p->coverage.n == 0;
		plan_hook(p, ASSAY_HOOK_BPRM_CHECK, ASSAY_MAY_EXEC);
		plan_hook(p, ASSAY_HOOK_CREDS_CHECK, ASSAY_MAY_EXEC);
	}
}

/* What the kernel may answer by itself once the records are anchored. */
static uint32_t find_ignore_bits(const struct planning *p)
{
	const struct hearing *h = p->h;
	const struct assay_policy *policy = h->policy->compiled;
	const struct coverage *done = &p->coverage;
	uint32_t bits = 0;

	if (!h->leased || h->policy->by_owner)
		return 0;
	if (coverage_holds(done, policy, &h->object, ASSAY_HOOK_FILE_CHECK) &&
	    (!p->mappable || coverage_holds(done, policy, &h->object, ASSAY_HOOK_MMAP_CHECK)))
		bits |= ASSAY_FANOTIFY_OPEN;
	if (coverage_holds(done, policy, &h->object, ASSAY_HOOK_BPRM_CHECK) &&
	    coverage_holds(done, policy, &h->object, ASSAY_HOOK_CREDS_CHECK))
		bits |= ASSAY_FANOTIFY_EXEC;
	return bits & h->policy->event_bits;
}

/* @mappable: what would be mapped for execution; fanotify tells of no mapping. */
static void make_plan(struct hearing *h, bool mappable, struct judge_plan *ret)
{
	struct planning p = { .h = h, .plan = ret, .mappable = mappable };

	*ret = (struct judge_plan){ 0 };
	plan_hooks(&p);
	ret->ignore_bits = find_ignore_bits(&p);
}

/* All facts of the content that may be needed, whatever the first of them says. */
static uint32_t find_wanted(struct hearing *h)
{
	const struct judge_plan *plain = &h->plain, *mapped = &h->mapped;
	uint32_t wanted;

	make_plan(h, true, &h->mapped);
	h->plain = h->mapped;
	if (has_execute_bit(h))
		return mapped->wanted;
	make_plan(h, false, &h->plain);
	if (mapped->n == plain->n && mapped->n_audits == plain->n_audits &&
	    mapped->ignore_bits == plain->ignore_bits)
		return plain->wanted;
	wanted = plain->wanted | (mapped->wanted & WORKER_VERITY) | WORKER_HEAD;
	if (mapped->wanted & ~plain->wanted & WORKER_DIGEST)
		wanted |= WORKER_DIGEST_IF_ELF;
	return wanted;
}

/* ---- a case --------------------------------------------------------------------------------- */

static bool is_eager(const struct daemon *d, const struct loaded_policy *p)
{
	if (d->conf.first_sight == ASSAY_CONF_SIGHT_AUTO)
		return p->builtin;
	return d->conf.first_sight == ASSAY_CONF_SIGHT_EAGER;
}

static void take_lease(struct hearing *h)
{
	int r = assay_lease_take(h->c.fd);

	h->leased = r == 0;
	h->has_writer = r == -EAGAIN;
	if (r < 0)
		atomic_fetch_add(&h->daemon->totals.no_leases, 1);
}

int judge_begin(struct daemon *d, const struct judge_case *c, struct hearing *ret)
{
	struct hearing *h = ret;
	int r;

	/* In this order: a change of policy raises the epoch after it. */
	*h = (struct hearing){ .daemon = d, .c = *c, .epoch = assay_fanotify_epoch(d->group) };
	h->policy = atomic_load(&d->policy);
	r = assay_fs_table_get(d->fs, c->fd, &c->st, &h->fs);
	if (r < 0)
		return r;
	h->object.fs = assay_fs_facts(&h->fs);
	h->object.fowner = c->st.st_uid;
	h->object.fgroup = c->st.st_gid;
	if (!c->late && !c->known)
		take_lease(h);
	/* What cannot be marked is measured again at every open: then only for whom the rules say.
	 */
	h->eager = is_eager(d, h->policy) && (h->leased || c->known || c->late);
	if (!c->exec || h->eager || c->late)
		find_access(h);
	h->wanted = find_wanted(h);
	return 0;
}

const struct judge_plan *judge_plan(struct hearing *h, const struct content_facts *content)
{
	bool elf = content->have & (WORKER_HEAD | WORKER_DIGEST_IF_ELF) && content->elf;
	struct judge_plan *plan = elf ? &h->mapped : &h->plain;

	/* What was read by then may be neither the old content nor the new. */
	if (h->broken && plan->n)
		plan->ask[0].open_writers = true;
	if (h->broken)
		plan->ignore_bits = 0;
	return plan;
}

static void set_path(struct hearing *h, char path[static ASSAY_OBJECT_PATH_MAX],
		     struct assay_facts *ret)
{
	int n = assay_object_path(h->c.fd, &h->c.st, path);

	/* As the kernel does where it has no path: something rather than nothing. */
	ret->path = n < 0 ? assay_bytes_str("(unreachable)") : assay_bytes(path, (size_t)n);
}

void judge_facts(struct hearing *h, const struct judge_plan *plan, uint32_t i,
		 const struct content_facts *content, char path[static ASSAY_OBJECT_PATH_MAX],
		 struct assay_facts *ret)
{
	const struct judge_ask *ask = &plan->ask[i];
	uint32_t needs = assay_policy_needs(h->policy->compiled, ask->hook);

	*ret = (struct assay_facts){
		.have = ASSAY_FACT_FS | ASSAY_FACT_OWNER | ASSAY_FACT_PATH,
		.match = h->object,
		.digest = content->digest,
		.verity = content->verity,
		.mode = (uint16_t)h->c.st.st_mode,
		.open_writers = ask->open_writers,
		.unreadable = content->unreadable,
	};
	ret->match.hook = ask->hook;
	ret->match.mask = ask->mask;
	if (needs & ASSAY_FACT_SUBJECT && !ask->any_subject)
		find_subject(h, &ret->match);
	ret->match.any_subject = ask->any_subject;
	ret->match.unseen_subject = ask->unseen_subject;
	if (ask->any_subject || h->has_opener)
		ret->have |= ASSAY_FACT_SUBJECT;
	/* What cannot be had is known to be absent. */
	if (content->digest.alg < ASSAY_HASH_COUNT || content->unreadable)
		ret->have |= ASSAY_FACT_DIGEST;
	if (content->have & WORKER_VERITY)
		ret->have |= ASSAY_FACT_VERITY;
	set_path(h, path, ret);
}

bool judge_audit(struct hearing *h, const struct judge_plan *plan,
		 const struct content_facts *content, char path[static ASSAY_OBJECT_PATH_MAX])
{
	const struct peek_opener *o;
	struct assay_facts facts;
	bool done = plan->n_audits == 0;

	if (done)
		return true;
	o = find_opener(h);
	set_path(h, path, &facts);
	for (uint32_t i = 0; i < plan->n_audits; i++) {
		const struct judge_audit *a = &plan->audit[i];
		const struct assay_digest *d = a->verity ? &content->verity : &content->digest;
		/* Zeros where there is none, as in the list. */
		struct audit_file f = {
			.tid = h->c.tid,
			.late = h->c.late,
			.uid = o->seen ? o->subject.uid : UINT32_MAX,
			.dev = h->c.st.st_dev,
			.ino = h->c.st.st_ino,
			.path = facts.path,
			.digest = { .alg = h->daemon->hash },
			.hook = a->hook,
			.rule = a->rule,
			.policy = h->policy->name,
		};

		if (d->alg < ASSAY_HASH_COUNT)
			f.digest = *d;
		done |= audit_file(h->daemon->audit, h->daemon->peek, &h->daemon->crypto, &f);
	}
	return done;
}
