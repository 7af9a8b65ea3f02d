/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random policies and events: the index agrees with the plain walk and with a third matcher that is
 * written here from the kernel's rules alone; what was printed matches like what was printed from;
 * what holds for everybody holds for each. ASSAY_SEED repeats a run.
 */
#include "unit/policy_fixture.h"

#include <errno.h>

#define POLICIES	1500
#define EVENTS		160
#define COMPARISONS_MIN 200000

/* ---- chance --------------------------------------------------------------------------------- */

static uint64_t state64;

static uint32_t below(uint32_t n)
{
	state64 ^= state64 << 13;
	state64 ^= state64 >> 7;
	state64 ^= state64 << 17;
	return (uint32_t)(state64 >> 33) % n;
}

static bool one_in(uint32_t n)
{
	return below(n) == 0;
}

static const char *pick(const char *const *from, uint32_t n)
{
	return from[below(n)];
}

static const char *const fs_names[] = { "ext4", "proc", "fuse" };
static const char *const labels[] = { ".ima", ".evm", "selinux", "x" };
static const uint8_t uuids[2][16] = { { 1 }, { 2 } };

static uint64_t random_magic(uint32_t spread)
{
	return 0x1000 + below(spread);
}

/* ---- random rules, as structs --------------------------------------------------------------- */

static struct assay_id_cond random_id(void)
{
	return (struct assay_id_cond){ below(4), (enum assay_idop)below(3) };
}

static void random_subject_conds(struct assay_rule *r, bool buffer)
{
	if (one_in(3)) {
		r->conds |= buffer || one_in(2) ? ASSAY_COND_UID : ASSAY_COND_EUID;
		r->uid = random_id();
	}
	if (one_in(6)) {
		r->conds |= buffer || one_in(2) ? ASSAY_COND_GID : ASSAY_COND_EGID;
		r->gid = random_id();
	}
}

static void random_file_conds(struct assay_rule *r, uint32_t spread)
{
	if (one_in(3) && r->func != ASSAY_HOOK_KEXEC_CMDLINE) {
		r->conds |= ASSAY_COND_MASK | (one_in(2) ? ASSAY_COND_INMASK : 0);
		r->mask = 1u << below(4);
	}
	if (one_in(3)) {
		r->conds |= ASSAY_COND_FSMAGIC;
		r->fsmagic = random_magic(spread);
	}
	if (one_in(8)) {
		r->conds |= ASSAY_COND_FSNAME;
		r->fsname = assay_bytes_str(pick(fs_names, 3));
	}
	if (one_in(12)) {
		r->conds |= ASSAY_COND_FS_SUBTYPE;
		r->fs_subtype = assay_bytes_str(pick(fs_names, 3));
	}
	if (one_in(12)) {
		r->conds |= ASSAY_COND_FSUUID;
		memcpy(r->fsuuid, uuids[below(2)], 16);
	}
	if (one_in(5)) {
		r->conds |= ASSAY_COND_FOWNER;
		r->fowner = random_id();
	}
	if (one_in(8)) {
		r->conds |= ASSAY_COND_FGROUP;
		r->fgroup = random_id();
	}
	if (one_in(25)) {
		r->conds |= ASSAY_COND_LSM;
		r->lsm[below(ASSAY_LSM_COUNT)] = assay_bytes_str("label_t");
	}
}

static void random_items(struct assay_rule *r, struct assay_bytes *items)
{
	if (one_in(3))
		return;
	r->conds |= r->func == ASSAY_HOOK_KEY_CHECK ? ASSAY_COND_KEYRINGS : ASSAY_COND_LABEL;
	r->items = items;
	r->n_items = 1 + below(2);
	for (uint32_t i = 0; i < r->n_items; i++)
		items[i] = assay_bytes_str(pick(labels, 4));
}

static void random_opts(struct assay_rule *r, bool buffer)
{
	static const char *const templates[] = { "ima", "ima-ng", "ima-sig" };

	if (r->action == ASSAY_ACTION_MEASURE && one_in(5)) {
		r->opts |= ASSAY_OPT_PCR;
		r->pcr = below(64);
	}
	if (r->action == ASSAY_ACTION_MEASURE && one_in(5)) {
		r->opts |= ASSAY_OPT_TEMPLATE;
		r->template = assay_bytes_str(pick(templates, 3));
	}
	if (buffer)
		return;
	if (one_in(10))
		r->opts |= ASSAY_OPT_PERMIT_DIRECTIO;
	if (r->action != ASSAY_ACTION_APPRAISE) {
		r->opts |= r->func != ASSAY_HOOK_MODULE_CHECK && one_in(12)
				   ? ASSAY_OPT_VERITY_REQUIRED
				   : 0;
		return;
	}
	if (one_in(3))
		r->opts |= ASSAY_OPT_DIGSIG_REQUIRED | ASSAY_OPT_CHECK_BLACKLIST |
			   (one_in(2) ? ASSAY_OPT_SIGV3_REQUIRED : 0) |
			   (r->func == ASSAY_HOOK_MODULE_CHECK ? ASSAY_OPT_MODSIG_ALLOWED : 0);
	if (one_in(4)) {
		r->opts |= ASSAY_OPT_ALGOS;
		r->algos = 1 + below((1u << ASSAY_HASH_COUNT) - 1);
	}
}

static void random_rule(struct assay_rule *r, struct assay_bytes *items, uint32_t spread)
{
	static const uint32_t actions[] = {
		ASSAY_ACTION_MEASURE,	    ASSAY_ACTION_MEASURE, ASSAY_ACTION_DONT_MEASURE,
		ASSAY_ACTION_APPRAISE,	    ASSAY_ACTION_AUDIT,	  ASSAY_ACTION_HASH,
		ASSAY_ACTION_DONT_APPRAISE, ASSAY_ACTION_HASH,	  ASSAY_ACTION_DONT_AUDIT,
		ASSAY_ACTION_DONT_HASH,
	};
	static const enum assay_hook hooks[] = {
		ASSAY_HOOK_FILE_CHECK, ASSAY_HOOK_FILE_CHECK,	 ASSAY_HOOK_MMAP_CHECK,
		ASSAY_HOOK_BPRM_CHECK, ASSAY_HOOK_MODULE_CHECK,	 ASSAY_HOOK_KEXEC_CMDLINE,
		ASSAY_HOOK_KEY_CHECK,  ASSAY_HOOK_CRITICAL_DATA,
	};
	bool buffer;

	*r = (struct assay_rule){ .action = actions[below(ARRAY_LEN(actions))] };
	if (!one_in(4)) {
		r->func = hooks[below(ARRAY_LEN(hooks))];
		r->conds = ASSAY_COND_FUNC;
	}
	buffer = r->func == ASSAY_HOOK_KEY_CHECK || r->func == ASSAY_HOOK_CRITICAL_DATA;
	if (buffer || r->func == ASSAY_HOOK_KEXEC_CMDLINE)
		r->action = one_in(3) ? ASSAY_ACTION_DONT_MEASURE : ASSAY_ACTION_MEASURE;
	random_subject_conds(r, buffer);
	if (buffer)
		random_items(r, items);
	else
		random_file_conds(r, spread);
	random_opts(r, buffer || r->func == ASSAY_HOOK_KEXEC_CMDLINE);
}

/* ---- random events -------------------------------------------------------------------------- */

static void random_subject(struct assay_subject *s)
{
	*s = (struct assay_subject){ below(5), below(5), below(5),  below(5),
				     below(5), below(5), one_in(2), one_in(2) };
}

static void random_event(struct assay_match_facts *f, uint32_t spread)
{
	*f = (struct assay_match_facts){
		.hook = (enum assay_hook)(1 + below(ASSAY_HOOK_COUNT - 1)),
		.mask = below(16),
		.fs = { .magic = random_magic(spread), .name = assay_bytes_str(pick(fs_names, 3)) },
		.fowner = below(5),
		.fgroup = below(5),
		.label = assay_bytes_str(pick(labels, 4)),
		.any_subject = one_in(4),
	};
	if (one_in(2))
		f->hook = ASSAY_HOOK_FILE_CHECK;
	if (one_in(2))
		f->fs.subtype = assay_bytes_str(pick(fs_names, 3));
	memcpy(f->fs.uuid, uuids[below(2)], 16);
	random_subject(&f->subject);
}

/* ---- the third matcher ---------------------------------------------------------------------- */

static bool holds(const struct assay_id_cond *c, uint32_t id)
{
	return c->op == ASSAY_IDOP_EQ	? id == c->id
	       : c->op == ASSAY_IDOP_GT ? id > c->id
					: id < c->id;
}

static bool naive_ids(const struct assay_rule *r, const struct assay_subject *s)
{
	bool any_uid = holds(&r->uid, s->euid) || holds(&r->uid, s->suid) || holds(&r->uid, s->uid);
	bool any_gid = holds(&r->gid, s->egid) || holds(&r->gid, s->sgid) || holds(&r->gid, s->gid);

	if ((r->conds & ASSAY_COND_UID) && !holds(&r->uid, s->uid))
		return false;
	if ((r->conds & ASSAY_COND_GID) && !holds(&r->gid, s->gid))
		return false;
	if ((r->conds & ASSAY_COND_EUID) && !(s->cap_setuid ? any_uid : holds(&r->uid, s->euid)))
		return false;
	return !(r->conds & ASSAY_COND_EGID) || (s->cap_setgid ? any_gid : holds(&r->gid, s->egid));
}

static bool naive_rule(const struct assay_rule *r, const struct assay_match_facts *f)
{
	bool post = f->hook == ASSAY_HOOK_POST_SETATTR;
	bool listed = r->n_items == 0;

	if (f->hook == ASSAY_HOOK_KEY_CHECK || f->hook == ASSAY_HOOK_CRITICAL_DATA) {
		for (uint32_t i = 0; i < r->n_items; i++)
			listed |= assay_bytes_equal(r->items[i], f->label);
		return r->func == f->hook && listed &&
		       (!(r->conds & ASSAY_COND_UID) || holds(&r->uid, f->subject.uid));
	}
	if (r->func == ASSAY_HOOK_KEY_CHECK || r->func == ASSAY_HOOK_CRITICAL_DATA)
		return false;
	if (r->func && r->func != f->hook && !post)
		return false;
	if ((r->conds & ASSAY_COND_INMASK) && !post && !(r->mask & f->mask))
		return false;
	if ((r->conds & ASSAY_COND_MASK) && !(r->conds & ASSAY_COND_INMASK) && !post &&
	    r->mask != f->mask)
		return false;
	return (!(r->conds & ASSAY_COND_FSMAGIC) || r->fsmagic == f->fs.magic) &&
	       (!(r->conds & ASSAY_COND_FSNAME) || assay_bytes_equal(r->fsname, f->fs.name)) &&
	       (!(r->conds & ASSAY_COND_FS_SUBTYPE) ||
		assay_bytes_equal(r->fs_subtype, f->fs.subtype)) &&
	       (!(r->conds & ASSAY_COND_FSUUID) || memcmp(r->fsuuid, f->fs.uuid, 16) == 0) &&
	       (!(r->conds & ASSAY_COND_FOWNER) || holds(&r->fowner, f->fowner)) &&
	       (!(r->conds & ASSAY_COND_FGROUP) || holds(&r->fgroup, f->fgroup)) &&
	       !(r->conds & ASSAY_COND_LSM) && naive_ids(r, &f->subject);
}

/* Section by section what ima_match_policy() does; without by_subject and by_mask. */
static void naive_match(const struct assay_policy_text *p, const struct assay_match_facts *f,
			struct assay_match *m)
{
	uint32_t open = 0;

	*m = (struct assay_match){ 0 };
	for (uint32_t i = 0; i < p->n_rules; i++)
		open |= p->rules[i].action & 0x145;
	open |= open << 1;
	for (uint32_t i = 0; i < p->n_rules; i++) {
		const struct assay_rule *r = &p->rules[i];

		if (!(r->action & open) || !naive_rule(r, f))
			continue;
		m->opts |= r->opts;
		if (r->action & 0x145) {
			m->actions |= r->action;
			open &= ~(r->action | r->action << 1);
		} else {
			open &= ~(r->action | r->action >> 1);
		}
		if (r->action == ASSAY_ACTION_APPRAISE)
			m->actions &= ~(uint32_t)ASSAY_ACTION_HASH;
		if (r->opts & ASSAY_OPT_PCR)
			m->pcr = r->pcr;
		if (r->opts & ASSAY_OPT_TEMPLATE)
			m->template = r->template;
		if (r->opts & ASSAY_OPT_ALGOS)
			m->algos = r->algos;
	}
}

static bool same_result(const struct assay_match *a, const struct assay_match *b)
{
	return a->actions == b->actions && a->opts == b->opts && a->pcr == b->pcr &&
	       assay_bytes_equal(a->template, b->template) && a->algos == b->algos;
}

/* ---- properties ----------------------------------------------------------------------------- */

static uint64_t compared, for_everybody, changed_subject, matched;

/* With @m, of any_subject, for everybody: nobody gets less, and the same in what is strict. */
static void assert_for_everybody(const struct assay_policy *p, struct assay_match_facts f,
				 const struct assay_match *m)
{
	const uint32_t strict = ASSAY_ACTION_APPRAISE | ASSAY_ACTION_HASH;
	struct assay_match exact;

	f.any_subject = false;
	for (int i = 0; i < 6; i++) {
		random_subject(&f.subject);
		assay_policy_match(p, &f, &exact);
		assert_int_equal(exact.actions & ~m->actions, 0);
		assert_int_equal(exact.actions & strict, m->actions & strict);
		assert_int_equal(exact.opts, m->opts);
		assert_int_equal(exact.pcr, m->pcr);
		assert_int_equal(exact.algos, m->algos);
		assert_true(assay_bytes_equal(exact.template, m->template));
		for_everybody++;
	}
}

/* Where the subject, or the mask, was not looked at, another one gets the same. */
static void assert_not_by_subject(const struct assay_policy *p, struct assay_match_facts f,
				  const struct assay_match *m)
{
	struct assay_match other;

	if (!m->by_subject)
		random_subject(&f.subject);
	if (!m->by_mask)
		f.mask = below(16);
	assay_policy_match(p, &f, &other);
	assert_true(same_match(m, &other));
	changed_subject++;
}

static bool is_file_hook(enum assay_hook hook)
{
	return hook != ASSAY_HOOK_POST_SETATTR && hook != ASSAY_HOOK_KEY_CHECK &&
	       hook != ASSAY_HOOK_CRITICAL_DATA && hook != ASSAY_HOOK_KEXEC_CMDLINE &&
	       hook != ASSAY_HOOK_SETXATTR_CHECK;
}

static void assert_event(const struct assay_policy *p, const struct assay_policy *reparsed,
			 const struct assay_match_facts *f)
{
	struct assay_match index, walk, naive, again;

	assay_policy_match(p, f, &index);
	assay_policy_match_walk(p, f, &walk);
	assert_true(same_match(&index, &walk));
	assay_policy_match(reparsed, f, &again);
	assert_true(same_match(&index, &again));
	compared += 2;
	matched += index.actions != 0;
	if (index.actions) {
		assert_true(assay_policy_needs(p, f->hook) != 0);
		assert_true(!is_file_hook(f->hook) || assay_policy_wants_fs(p, &f->fs));
	}
	if (f->any_subject) {
		if (!index.by_subject)
			assert_for_everybody(p, *f, &index);
		return;
	}
	naive_match(assay_policy_text(p), f, &naive);
	assert_true(same_result(&index, &naive));
	assert_not_by_subject(p, *f, &index);
}

static void one_policy(uint32_t n, uint32_t spread)
{
	static struct assay_rule rules[400];
	static struct assay_bytes items[400][2];
	struct assay_policy_text text = { .rules = rules, .n_rules = n };
	const struct assay_policy *policy;
	size_t size = 600 * n + 65536;
	struct assay_arena arena;
	struct fixture f;
	char *printed;

	for (uint32_t i = 0; i < n; i++)
		random_rule(&rules[i], items[i], spread);
	assay_arena_init(&arena, malloc(size), size);
	assert_int_equal(assay_policy_compile(&text, &arena, &policy), 0);
	printed = fixture_print(&text);
	if (fixture_parse(&f, assay_bytes_str(printed)) != 0)
		fail_msg("line %u: %s\n%s", f.err.line, f.err.text, printed);
	assert_int_equal(f.text.n_rules, n);
	for (int i = 0; i < EVENTS; i++) {
		struct assay_match_facts event;

		random_event(&event, spread);
		assert_event(policy, f.policy, &event);
	}
	free(printed);
	free(arena.base);
	fixture_done(&f);
}

static void random_policies_and_events(void **state)
{
	const char *seed = getenv("ASSAY_SEED");

	state64 = seed ? strtoull(seed, NULL, 0) : 20260707;
	print_message("seed %llu (ASSAY_SEED)\n", (unsigned long long)state64);
	for (int i = 0; i < POLICIES; i++)
		one_policy(i % 50 == 0 ? 400 : 1 + below(24), i % 3 == 0 ? 60 : 3);
	print_message("%llu comparisons, %llu for everybody, %llu for another subject, %llu "
		      "matched\n",
		      (unsigned long long)compared, (unsigned long long)for_everybody,
		      (unsigned long long)changed_subject, (unsigned long long)matched);
	assert_true(compared >= COMPARISONS_MIN);
	assert_true(for_everybody > COMPARISONS_MIN / 20 && matched > COMPARISONS_MIN / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_policies_and_events),
	};

	return cmocka_run_group_tests_name("policy_property", tests, NULL, NULL);
}
