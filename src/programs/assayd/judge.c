/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/judge.h"

#include <errno.h>
#include <linux/fsverity.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backends/source_fanotify/lease.h"
#include "backends/source_fanotify/opener.h"
#include "programs/assayd/audit_file.h"
#include "programs/assayd/coverage.h"

/* One case while it is judged. */
struct hearing {
	struct judge *judge;
	const struct judge_case *c;
	const struct loaded_policy *policy;
	struct findings *f;
	struct assay_fs fs;
	struct assay_facts facts;
	struct coverage coverage;
	struct assay_subject subject;
	bool has_subject, subject_seen; /* it was looked for, and found */
	bool eager, mappable;
};

int judge_init(struct judge *j, struct daemon *d, struct assay_err *err)
{
	j->daemon = d;
	j->content = NULL;
	return assay_content_new(&d->crypto, &d->hash, 1, &j->content, err);
}

void judge_done(struct judge *j)
{
	assay_content_free(j->content);
}

/* ---- facts ---------------------------------------------------------------------------------- */

/* What would be mapped for execution; fanotify tells of no mapping. */
static bool is_mappable(const struct judge_case *c)
{
	char magic[4];

	return c->st.st_mode & 0111 ||
	       (pread(c->fd, magic, 4, 0) == 4 && memcmp(magic, "\177ELF", 4) == 0);
}

/* Whoever waits for us to let go of the file gets it: the digest goes on without a mark. */
static bool keep_reading(void *ctx)
{
	struct hearing *h = ctx;

	if (h->f->leased && !assay_lease_intact(h->c->fd)) {
		assay_lease_drop(h->c->fd);
		h->f->leased = false;
		h->facts.open_writers = true; /* what is read by now may be neither old nor new */
		atomic_fetch_add(&h->judge->daemon->totals.broken_leases, 1);
	}
	return !h->c->answered || !atomic_load(h->c->answered);
}

static int find_digest(struct hearing *h)
{
	struct daemon *d = h->judge->daemon;
	uint64_t bytes = 0;
	int r = 0;

	if (!h->f->has_digest) {
		r = assay_content_digest(h->judge->content, h->c->fd, keep_reading, h,
					 &h->f->digest, &bytes);
		atomic_fetch_add(&d->totals.digests, 1);
		atomic_fetch_add(&d->totals.digest_bytes, bytes);
	}
	if (r == -ECANCELED)
		return r;
	h->f->has_digest = r == 0;
	h->facts.unreadable = r < 0;
	h->facts.digest = h->f->digest;
	return 0;
}

static void find_path(struct hearing *h)
{
	int n = assay_object_path(h->c->fd, &h->c->st, h->judge->path);

	/* As the kernel does where it has no path: something rather than nothing. */
	h->facts.path =
		n < 0 ? assay_bytes_str("(unreachable)") : assay_bytes(h->judge->path, (size_t)n);
}

static void find_verity(struct hearing *h)
{
	_Alignas(struct fsverity_digest)
		uint8_t space[sizeof(struct fsverity_digest) + ASSAY_HASH_SIZE_MAX];
	struct fsverity_digest *got = (void *)space;

	h->facts.verity = (struct assay_digest){ .alg = ASSAY_HASH_COUNT };
	got->digest_size = ASSAY_HASH_SIZE_MAX;
	if (ioctl(h->c->fd, FS_IOC_MEASURE_VERITY, got) < 0)
		return;
	h->facts.verity.alg = got->digest_algorithm == FS_VERITY_HASH_ALG_SHA512
				      ? ASSAY_HASH_SHA512
				      : ASSAY_HASH_SHA256;
	memcpy(h->facts.verity.data, got->digest, got->digest_size);
}

/* The credentials that the kernel would have computed for CREDS_CHECK, from the file's mode. */
static void change_ids(const struct judge_case *c, struct assay_subject *s)
{
	if (c->st.st_mode & S_ISUID)
		s->euid = s->suid = c->st.st_uid;
	if ((c->st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		s->egid = s->sgid = c->st.st_gid;
}

/* Of the opener, or of nobody in particular if it cannot be seen: then what holds for somebody. */
static void find_subject(struct hearing *h)
{
	if (!h->has_subject)
		h->subject_seen = assay_opener_subject(h->c->tid, &h->subject) == 0;
	h->has_subject = true;
	h->facts.match.subject = h->subject;
	if (!h->subject_seen)
		h->facts.match.any_subject = true;
	else if (h->facts.match.hook == ASSAY_HOOK_CREDS_CHECK)
		change_ids(h->c, &h->facts.match.subject);
}

static int gather(struct hearing *h, uint32_t need)
{
	int r = 0;

	if (need & ASSAY_FACT_SUBJECT)
		find_subject(h);
	if (need & ASSAY_FACT_PATH)
		find_path(h);
	if (need & ASSAY_FACT_VERITY)
		find_verity(h);
	if (need & ASSAY_FACT_DIGEST)
		r = find_digest(h);
	h->facts.have |= need; /* what cannot be had is known to be absent */
	return r;
}

static int begin(struct hearing *h)
{
	const struct judge_case *c = h->c;
	int r = assay_fs_table_get(h->judge->daemon->fs, c->fd, &c->st, &h->fs);

	if (r < 0)
		return r;
	h->facts.match.fs = assay_fs_facts(&h->fs);
	h->facts.match.fowner = c->st.st_uid;
	h->facts.match.fgroup = c->st.st_gid;
	h->facts.mode = (uint16_t)c->st.st_mode;
	h->facts.have = ASSAY_FACT_FS | ASSAY_FACT_OWNER;
	return 0;
}

/* ---- hooks ---------------------------------------------------------------------------------- */

/* In eager mode for somebody, unless that has no answer that holds for all. */
static bool ask_for_anybody(struct hearing *h, struct assay_match_facts match)
{
	struct assay_match m;

	if (!h->eager)
		return false;
	match.any_subject = true;
	assay_policy_match(h->policy->compiled, &match, &m);
	return !m.by_subject;
}

/* Zeros where there is none, as in the list. */
static struct assay_digest audited_digest(const struct hearing *h, bool verity)
{
	const struct assay_digest *d = verity ? &h->facts.verity : &h->facts.digest;
	bool has = verity ? d->alg < ASSAY_HASH_COUNT : !h->facts.unreadable;

	return has ? *d : (struct assay_digest){ .alg = h->judge->daemon->hash };
}

/* Does what happens here, and not to somebody else or later, match a rule that audits? */
static bool is_audited(struct hearing *h, struct assay_match *ret)
{
	struct assay_match_facts *match = &h->facts.match;
	bool exec_hook =
		match->hook == ASSAY_HOOK_BPRM_CHECK || match->hook == ASSAY_HOOK_CREDS_CHECK;
	uint32_t access;

	if (!h->policy->audits || exec_hook != h->c->exec)
		return false;
	if (h->eager && match->hook == ASSAY_HOOK_FILE_CHECK) {
		access = assay_opener_access(h->c->tid);
		match->mask = access ? access : match->mask;
	}
	if (assay_policy_needs(h->policy->compiled, match->hook) & ASSAY_FACT_SUBJECT) {
		match->any_subject = false;
		find_subject(h);
	}
	assay_policy_match(h->policy->compiled, match, ret);
	return ret->actions & ASSAY_ACTION_AUDIT;
}

static int audit(struct hearing *h)
{
	struct daemon *d = h->judge->daemon;
	struct audit_file f = {
		.tid = h->c->tid,
		.late = h->c->late,
		.dev = h->c->st.st_dev,
		.ino = h->c->st.st_ino,
		.hook = h->facts.match.hook,
		.policy = h->policy->name,
	};
	struct assay_match m;
	bool verity;
	int r;

	if (!is_audited(h, &m))
		return 0;
	if (!h->has_subject)
		find_subject(h);
	verity = m.opts & ASSAY_OPT_VERITY_REQUIRED;
	r = gather(h, (ASSAY_FACT_PATH | (verity ? ASSAY_FACT_VERITY : ASSAY_FACT_DIGEST)) &
			      ~h->facts.have);
	if (r < 0)
		return r;
	f.uid = h->subject_seen ? h->subject.uid : UINT32_MAX;
	f.path = h->facts.path;
	f.digest = audited_digest(h, verity);
	f.rule = assay_policy_text(h->policy->compiled)->rules[m.rule_audit].line;
	h->coverage.audited |= audit_file(d->audit, &d->crypto, &f);
	return 0;
}

static int ask(struct hearing *h, enum assay_hook hook, uint32_t mask, struct assay_err *err)
{
	struct assay_decision decision;
	struct assay_facts *facts = &h->facts;
	int r;

	if (assay_policy_needs(h->policy->compiled, hook) == 0)
		return 0;
	facts->match.hook = hook;
	facts->match.mask = mask;
	facts->match.any_subject = ask_for_anybody(h, facts->match);
	facts->have &= ~(uint32_t)ASSAY_FACT_SUBJECT;
	if (facts->match.any_subject)
		facts->have |= ASSAY_FACT_SUBJECT;
	for (;;) {
		r = anchor_wait_event(h->judge->daemon->events, facts, &decision, err);
		if (r < 0 || decision.need == 0)
			break;
		r = gather(h, decision.need);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	assay_policy_match(h->policy->compiled, &facts->match, &decision.match);
	coverage_add(&h->coverage, &decision.match);
	if (decision.wait_for != ASSAY_NO_RECORD &&
	    (h->f->wait_for == ASSAY_NO_RECORD || decision.wait_for > h->f->wait_for))
		h->f->wait_for = decision.wait_for;
	return audit(h);
}

/* What the opener asks for, and whether somebody else may be writing. A lease proves that the
 * opener does not write; without one it is asked. */
static uint32_t find_access(struct hearing *h, bool has_writer)
{
	uint32_t access;

	if (h->eager || h->c->late)
		return ASSAY_MAY_READ;
	access = assay_opener_access(h->c->tid);
	if (!has_writer)
		return access & ASSAY_MAY_EXEC ? ASSAY_MAY_EXEC : ASSAY_MAY_READ;
	if (access == 0)
		access = ASSAY_MAY_READ;
	h->facts.open_writers = !(access & ASSAY_MAY_WRITE);
	return access;
}

static int ask_all(struct hearing *h, bool has_writer, struct assay_err *err)
{
	const struct judge_case *c = h->c;
	int r = 0;

	if (!c->exec || h->eager || c->late) {
		uint32_t access = find_access(h, has_writer);

		if (!c->late)
			r = ask(h, ASSAY_HOOK_FILE_CHECK, access, err);
		h->facts.open_writers &= h->coverage.n == 0; /* said once */
		if (r == 0 && (h->mappable || c->late) && access != ASSAY_MAY_WRITE)
			r = ask(h, ASSAY_HOOK_MMAP_CHECK, ASSAY_MAY_EXEC, err);
	}
	if (c->exec || (h->eager && h->mappable && !c->late)) {
		/* The kernel looks for writers after our answer; one of now may be done by then. */
		h->facts.open_writers = has_writer && h->coverage.n == 0;
		if (r == 0)
			r = ask(h, ASSAY_HOOK_BPRM_CHECK, ASSAY_MAY_EXEC, err);
		h->facts.open_writers &= h->coverage.n == 0;
		if (r == 0)
			r = ask(h, ASSAY_HOOK_CREDS_CHECK, ASSAY_MAY_EXEC, err);
	}
	return r;
}

/* What the kernel may answer by itself once the records are anchored. */
static uint32_t find_ignore_bits(struct hearing *h)
{
	const struct assay_policy *p = h->policy->compiled;
	const struct assay_match_facts *m = &h->facts.match;
	uint32_t bits = 0;

	if (!h->f->leased || h->policy->by_owner)
		return 0;
	if (coverage_holds(&h->coverage, p, m, ASSAY_HOOK_FILE_CHECK) &&
	    (!h->mappable || coverage_holds(&h->coverage, p, m, ASSAY_HOOK_MMAP_CHECK)))
		bits |= ASSAY_FANOTIFY_OPEN;
	if (coverage_holds(&h->coverage, p, m, ASSAY_HOOK_BPRM_CHECK) &&
	    coverage_holds(&h->coverage, p, m, ASSAY_HOOK_CREDS_CHECK))
		bits |= ASSAY_FANOTIFY_EXEC;
	return bits & h->policy->event_bits;
}

static bool is_eager(const struct daemon *d, const struct loaded_policy *p)
{
	if (d->conf.first_sight == ASSAY_CONF_SIGHT_AUTO)
		return p->builtin;
	return d->conf.first_sight == ASSAY_CONF_SIGHT_EAGER;
}

int judge_file(struct judge *j, const struct judge_case *c, struct findings *f,
	       struct assay_err *err)
{
	struct hearing h = { .judge = j, .c = c, .f = f };
	struct daemon *d = j->daemon;
	bool known = f->has_digest;
	int r = 0;

	/* In this order: a change of policy raises the epoch after it. */
	f->epoch = assay_fanotify_epoch(d->group);
	h.policy = atomic_load(&d->policy);
	if (!c->late && !known)
		r = assay_lease_take(c->fd);
	f->leased = !c->late && !known && r == 0;
	if (r < 0)
		atomic_fetch_add(&d->totals.no_leases, 1);
	/* What cannot be marked is measured again at every open: then only for whom the rules say.
	 */
	h.eager = is_eager(d, h.policy) && (f->leased || known || c->late);
	if (begin(&h) < 0)
		return assay_err_set(err, -EIO, "cannot find out about the filesystem of a file");
	h.mappable = is_mappable(c);
	r = ask_all(&h, r == -EAGAIN, err);
	if (r == 0)
		f->ignore_bits = find_ignore_bits(&h);
	return r;
}
