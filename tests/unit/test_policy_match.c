/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a policy says about an event, case by case. Random ones are in test_policy_property.c. */
#include "unit/policy_fixture.h"

#include <errno.h>

#include "engine/core/policy_match.h"

#define EXT4  0xef53
#define TMPFS 0x01021994
#define PROC  0x9fa0

/* root opens an ext4 file of root's for reading */
static const struct assay_match_facts root_reads = {
	.hook = ASSAY_HOOK_FILE_CHECK,
	.mask = ASSAY_MAY_READ,
	.fs = { .magic = EXT4, .name = { (const uint8_t *)"ext4", 4 }, .uuid = { 1, 2, 3 } },
};

static struct assay_match match(const char *text, const struct assay_match_facts *facts)
{
	struct assay_match by_index, by_walk;
	struct fixture f;

	if (fixture_parse(&f, assay_bytes_str(text)) != 0)
		fail_msg("'%s': %s", text, f.err.text);
	assay_policy_match(f.policy, facts, &by_index);
	assay_policy_match_walk(f.policy, facts, &by_walk);
	assert_true(same_match(&by_index, &by_walk));
	fixture_done(&f);
	by_index.template = assay_bytes(NULL, by_index.template.len); /* it went with the arena */
	return by_index;
}

static void assert_rule(const char *rule, const struct assay_match_facts *facts, bool matches)
{
	struct assay_match m = match(rule, facts);

	if ((m.actions == ASSAY_ACTION_MEASURE) != matches)
		fail_msg("'%s' %s", rule, matches ? "does not match" : "matches");
	assert_int_equal(m.rule_measure, matches ? 0 : ASSAY_NO_RULE);
}

/* The first condition of a rule that fails. */
static uint32_t mismatch(const char *rule, const struct assay_match_facts *facts)
{
	struct fixture f;
	uint32_t failed;

	assert_int_equal(fixture_parse(&f, assay_bytes_str(rule)), 0);
	failed = assay_rule_first_mismatch(&f.text.rules[0], facts);
	fixture_done(&f);
	return failed;
}

static void each_condition_holds_and_fails(void **state)
{
	static const struct {
		const char *rule;
		uint32_t failed; /* 0: it matches */
	} rows[] = {
		{ "measure", 0 },
		{ "measure func=FILE_CHECK", 0 },
		{ "measure func=PATH_CHECK", 0 },
		{ "measure func=BPRM_CHECK", ASSAY_COND_FUNC },
		{ "measure mask=MAY_READ", 0 },
		{ "measure mask=^MAY_READ", 0 },
		{ "measure mask=MAY_WRITE", ASSAY_COND_MASK },
		{ "measure mask=^MAY_EXEC", ASSAY_COND_MASK },
		{ "measure fsmagic=EF53", 0 },
		{ "measure fsmagic=0x9fa0", ASSAY_COND_FSMAGIC },
		{ "measure fsname=ext4", 0 },
		{ "measure fsname=ext", ASSAY_COND_FSNAME },
		{ "measure fsname=ext44", ASSAY_COND_FSNAME },
		{ "measure fs_subtype=ext4", ASSAY_COND_FS_SUBTYPE },
		{ "measure fsuuid=01020300-0000-0000-0000-000000000000", 0 },
		{ "measure fsuuid=01020300-0000-0000-0000-000000000001", ASSAY_COND_FSUUID },
		{ "measure uid=0", 0 },
		{ "measure uid>0", ASSAY_COND_UID },
		{ "measure uid<1", 0 },
		{ "measure euid=1", ASSAY_COND_EUID },
		{ "measure gid=0", 0 },
		{ "measure gid<0", ASSAY_COND_GID },
		{ "measure egid>0", ASSAY_COND_EGID },
		{ "measure fowner=0", 0 },
		{ "measure fowner>0", ASSAY_COND_FOWNER },
		{ "measure fgroup<1", 0 },
		{ "measure fgroup=7", ASSAY_COND_FGROUP },
		{ "measure obj_type=x", ASSAY_COND_LSM },
		{ "measure subj_type=x", ASSAY_COND_LSM },
		/* of several, the first in the kernel's order */
		{ "measure fowner=1 uid=1 fsmagic=1", ASSAY_COND_FSMAGIC },
		{ "measure fowner=1 uid=1 mask=MAY_EXEC func=BPRM_CHECK", ASSAY_COND_FUNC },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_rule(rows[i].rule, &root_reads, rows[i].failed == 0);
		if (mismatch(rows[i].rule, &root_reads) != rows[i].failed)
			fail_msg("'%s': another condition fails", rows[i].rule);
	}
}

static void plain_masks_are_equal_and_carets_contain(void **state)
{
	struct assay_match_facts f = root_reads;

	f.mask = ASSAY_MAY_READ | ASSAY_MAY_WRITE;
	assert_rule("measure mask=MAY_READ", &f, false);
	assert_rule("measure mask=^MAY_READ", &f, true);
	assert_rule("measure mask=^MAY_WRITE", &f, true);
	assert_rule("measure mask=^MAY_APPEND", &f, false);
	f.mask = 0;
	assert_rule("measure mask=^MAY_READ", &f, false);
	assert_rule("measure", &f, true);
}

static void effective_ids_widen_with_capabilities(void **state)
{
	struct assay_match_facts f = root_reads;

	f.subject = (struct assay_subject){ 10, 20, 30, 11, 21, 31, false, false };
	assert_rule("measure uid=10", &f, true);
	assert_rule("measure euid=20", &f, true);
	assert_rule("measure euid=10", &f, false);
	assert_rule("measure euid=30", &f, false);
	assert_rule("measure egid=21", &f, true);
	assert_rule("measure egid=31", &f, false);
	f.subject.cap_setuid = true;
	assert_rule("measure euid=10", &f, true);
	assert_rule("measure euid=20", &f, true);
	assert_rule("measure euid=30", &f, true);
	assert_rule("measure euid>29", &f, true);
	assert_rule("measure euid=40", &f, false);
	assert_rule("measure uid=20", &f, false);
	assert_rule("measure egid=31", &f, false);
	f.subject.cap_setgid = true;
	assert_rule("measure egid=31", &f, true);
	assert_rule("measure egid=11", &f, true);
	assert_rule("measure gid=31", &f, false);
}

static void the_first_match_of_each_pair_decides(void **state)
{
	struct assay_match m = match("audit func=BPRM_CHECK\n"
				     "dont_measure fowner>0\n"
				     "dont_appraise mask=MAY_READ\n"
				     "measure pcr=11 template=ima-sig\n"
				     "dont_measure\n"
				     "measure pcr=12\n"
				     "appraise\n"
				     "dont_audit fsname=proc\n"
				     "audit permit_directio\n",
				     &root_reads);

	assert_int_equal(m.actions, ASSAY_ACTION_MEASURE | ASSAY_ACTION_AUDIT);
	assert_int_equal(m.rule_measure, 3);
	assert_int_equal(m.rule_appraise, 2);
	assert_int_equal(m.rule_audit, 8);
	assert_int_equal(m.rule_hash, ASSAY_NO_RULE);
	assert_int_equal(m.pcr, 11);
	assert_int_equal(m.template.len, strlen("ima-sig"));
	assert_int_equal(m.opts, ASSAY_OPT_PCR | ASSAY_OPT_TEMPLATE | ASSAY_OPT_PERMIT_DIRECTIO);
}

static void options_of_all_matching_rules_add_up(void **state)
{
	struct assay_match m = match("dont_audit permit_directio\n"
				     "audit\n"
				     "hash digest_type=verity\n"
				     "appraise appraise_type=sigv3 appraise_algos=sha256,sha512 "
				     "appraise_flag=x\n"
				     "measure uid=1 pcr=9\n",
				     &root_reads);

	assert_int_equal(m.actions, ASSAY_ACTION_APPRAISE); /* which takes hash back */
	assert_int_equal(m.rule_hash, 2);
	assert_int_equal(m.rule_audit, 0);
	assert_int_equal(m.algos, 1u << ASSAY_HASH_SHA256 | 1u << ASSAY_HASH_SHA512);
	assert_int_equal(m.opts, ASSAY_OPT_PERMIT_DIRECTIO | ASSAY_OPT_VERITY_REQUIRED |
					 ASSAY_OPT_DIGSIG_REQUIRED | ASSAY_OPT_SIGV3_REQUIRED |
					 ASSAY_OPT_CHECK_BLACKLIST | ASSAY_OPT_ALGOS);
}

static void appraise_takes_back_only_an_earlier_hash(void **state)
{
	assert_int_equal(match("hash\nappraise", &root_reads).actions, ASSAY_ACTION_APPRAISE);
	assert_int_equal(match("appraise\nhash", &root_reads).actions,
			 ASSAY_ACTION_APPRAISE | ASSAY_ACTION_HASH);
	assert_int_equal(match("hash\ndont_appraise\nappraise", &root_reads).actions,
			 ASSAY_ACTION_HASH);
}

static void a_pair_without_do_rule_is_not_looked_at(void **state)
{
	struct assay_match m =
		match("dont_hash permit_directio\ndont_audit uid=0\nmeasure", &root_reads);

	assert_int_equal(m.opts, 0);
	assert_int_equal(m.rule_hash, ASSAY_NO_RULE);
	assert_false(m.by_subject);
	/* SETXATTR_CHECK does not turn appraisal on. */
	m = match("appraise func=SETXATTR_CHECK appraise_algos=sha1\ndont_appraise uid=0\nmeasure",
		  &root_reads);
	assert_int_equal(m.rule_appraise, ASSAY_NO_RULE);
	assert_false(m.by_subject);
}

static void post_setattr_ignores_func_and_mask(void **state)
{
	struct assay_match_facts f = root_reads;
	struct assay_match m;

	f.hook = ASSAY_HOOK_POST_SETATTR;
	f.mask = 0;
	m = match("measure func=KEY_CHECK\ndont_appraise fsname=proc\n"
		  "appraise func=BPRM_CHECK mask=MAY_EXEC fowner=0\nhash func=FILE_CHECK uid=5",
		  &f);
	assert_int_equal(m.actions, ASSAY_ACTION_APPRAISE);
	assert_int_equal(m.rule_appraise, 2);
	assert_int_equal(m.rule_measure, ASSAY_NO_RULE);
	assert_false(m.by_mask);
	assert_true(m.by_subject);
	f.fowner = 1;
	assert_int_equal(match("appraise func=BPRM_CHECK fowner=0", &f).actions, 0);
}

static void keys_and_critical_data_have_rules_of_their_own(void **state)
{
	struct assay_match_facts f = { .hook = ASSAY_HOOK_KEY_CHECK,
				       .label = assay_bytes_str(".evm") };

	assert_rule("measure", &f, false);
	assert_rule("measure func=FILE_CHECK", &f, false);
	assert_rule("measure func=CRITICAL_DATA", &f, false);
	assert_rule("measure func=KEY_CHECK", &f, true);
	assert_rule("measure func=KEY_CHECK keyrings=.ima|.evm", &f, true);
	assert_rule("measure func=KEY_CHECK keyrings=.ima|.ev", &f, false);
	assert_rule("measure func=KEY_CHECK uid=1", &f, false);
	assert_rule("measure func=KEY_CHECK gid=1", &f, true); /* gid is not looked at */
	assert_int_equal(mismatch("measure func=KEY_CHECK keyrings=.ima", &f), ASSAY_COND_KEYRINGS);
	assert_int_equal(mismatch("measure func=KEY_CHECK gid=1", &f), 0);
	assert_int_equal(mismatch("measure func=KEY_CHECK uid=1", &f), ASSAY_COND_UID);
	f.label = assay_bytes(NULL, 0);
	assert_rule("measure func=KEY_CHECK keyrings=.ima", &f, false);
	assert_rule("measure func=KEY_CHECK", &f, true);
	f.hook = ASSAY_HOOK_CRITICAL_DATA;
	f.label = assay_bytes_str("selinux");
	assert_rule("measure func=CRITICAL_DATA label=selinux", &f, true);
	assert_rule("measure func=CRITICAL_DATA label=kernel_info", &f, false);
	assert_rule("measure func=KEY_CHECK", &f, false);
	assert_int_equal(mismatch("measure func=CRITICAL_DATA label=x", &f), ASSAY_COND_LABEL);
	/* A rule without func= is for the command line, but not for these. */
	f.hook = ASSAY_HOOK_KEXEC_CMDLINE;
	assert_rule("measure", &f, true);
	f.hook = ASSAY_HOOK_FILE_CHECK;
	assert_rule("measure func=CRITICAL_DATA", &f, false);
}

static void a_subtype_must_be_there(void **state)
{
	struct assay_match_facts f = root_reads;

	f.fs.subtype = assay_bytes_str("sshfs");
	assert_rule("measure fs_subtype=sshfs", &f, true);
	assert_rule("measure fs_subtype=sshf", &f, false);
}

/* ---- who else the result holds for ---------------------------------------------------------- */

static void by_subject_and_by_mask_say_what_was_looked_at(void **state)
{
	static const struct {
		const char *policy;
		bool by_subject, by_mask;
	} rows[] = {
		{ "measure", false, false },
		{ "measure uid=0", true, false },
		{ "measure uid=5", true, false },
		{ "measure gid=5", true, false },
		{ "measure egid=0", true, false },
		{ "measure mask=MAY_READ", false, true },
		{ "measure mask=MAY_EXEC", false, true },
		{ "measure mask=^MAY_EXEC uid=0", true, true },
		/* the object settles it before the subject is asked */
		{ "measure uid=0 fsname=proc", false, false },
		{ "measure mask=MAY_READ fowner=9", false, false },
		{ "measure func=BPRM_CHECK uid=0", false, false },
		{ "measure uid=0 obj_type=x", false, false },
		/* an earlier rule settled the pair */
		{ "measure\ndont_measure uid=5 mask=MAY_EXEC", false, false },
		{ "dont_measure fsmagic=ef53\nmeasure euid=0", false, false },
		{ "measure\naudit uid=5", true, false },
		{ "dont_measure uid=7\nmeasure", true, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct assay_match m = match(rows[i].policy, &root_reads);

		if (m.by_subject != rows[i].by_subject || m.by_mask != rows[i].by_mask)
			fail_msg("'%s': by_subject %d, by_mask %d", rows[i].policy, m.by_subject,
				 m.by_mask);
	}
}

static void any_subject_is_for_everybody_or_says_not(void **state)
{
	static const struct {
		const char *policy;
		uint32_t actions;
		bool by_subject;
	} rows[] = {
		{ "measure uid=7", ASSAY_ACTION_MEASURE, false },
		{ "dont_measure uid=0\nmeasure", ASSAY_ACTION_MEASURE, false },
		{ "dont_measure\nmeasure uid=7", 0, false },
		{ "measure uid=7 fowner=9", 0, false },
		{ "measure uid=7 mask=MAY_EXEC", 0, false },
		{ "audit gid=7\nmeasure egid=3", ASSAY_ACTION_AUDIT | ASSAY_ACTION_MEASURE, false },
		/* the PCR would differ */
		{ "measure uid=7 pcr=11\nmeasure", ASSAY_ACTION_MEASURE, true },
		{ "measure uid=7\nmeasure pcr=11", ASSAY_ACTION_MEASURE, true },
		{ "measure uid=7\nmeasure\nmeasure pcr=11", ASSAY_ACTION_MEASURE, false },
		{ "dont_measure uid=7\nmeasure permit_directio", ASSAY_ACTION_MEASURE, true },
		{ "dont_measure uid=7 permit_directio\nmeasure", ASSAY_ACTION_MEASURE, true },
		{ "measure pcr=11", ASSAY_ACTION_MEASURE, false },
		/* nobody is refused because somebody else would be */
		{ "appraise uid=7", ASSAY_ACTION_APPRAISE, true },
		{ "dont_appraise uid=7\nappraise", ASSAY_ACTION_APPRAISE, true },
		{ "hash gid=7", ASSAY_ACTION_HASH, true },
		{ "measure uid=7\nappraise", ASSAY_ACTION_MEASURE | ASSAY_ACTION_APPRAISE, false },
	};
	struct assay_match_facts f = root_reads;

	f.any_subject = true;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct assay_match m = match(rows[i].policy, &f);

		if (m.actions != rows[i].actions || m.by_subject != rows[i].by_subject)
			fail_msg("'%s': actions %#x, by_subject %d", rows[i].policy, m.actions,
				 m.by_subject);
	}
}

/* Nobody is assumed to be root, or anybody else. */
static void unseen_is_whoever_is_measured(void **state)
{
	static const struct {
		const char *policy;
		uint32_t actions, opts;
	} rows[] = {
		{ "measure uid=7", ASSAY_ACTION_MEASURE, 0 },
		{ "audit euid=7", ASSAY_ACTION_AUDIT, 0 },
		{ "dont_measure uid=0\nmeasure", ASSAY_ACTION_MEASURE, 0 },
		{ "dont_audit gid=0\naudit", ASSAY_ACTION_AUDIT, 0 },
		{ "dont_measure\nmeasure uid=7", 0, 0 },
		{ "measure uid=7 fowner=9", 0, 0 },
		{ "measure uid=7 pcr=11", ASSAY_ACTION_MEASURE, ASSAY_OPT_PCR },
		{ "dont_measure uid=0 permit_directio\nmeasure", ASSAY_ACTION_MEASURE, 0 },
	};
	struct assay_match_facts f = root_reads;

	f.unseen_subject = true;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct assay_match m = match(rows[i].policy, &f);

		if (m.actions != rows[i].actions || m.opts != rows[i].opts)
			fail_msg("'%s': actions %#x, opts %#x", rows[i].policy, m.actions, m.opts);
	}
}

/* ---- the policy without an event ------------------------------------------------------------ */

static void needs_name_what_rules_take(void **state)
{
	static const struct {
		const char *policy;
		enum assay_hook hook;
		uint32_t need;
	} rows[] = {
		{ "measure", ASSAY_HOOK_FILE_CHECK, ASSAY_FACT_PATH | ASSAY_FACT_DIGEST },
		{ "measure", ASSAY_HOOK_KEY_CHECK, 0 },
		{ "measure func=BPRM_CHECK", ASSAY_HOOK_FILE_CHECK, 0 },
		{ "dont_measure uid=0", ASSAY_HOOK_FILE_CHECK, 0 },
		{ "measure obj_type=x", ASSAY_HOOK_FILE_CHECK, 0 },
		{ "dont_measure fsmagic=1\nmeasure euid=0 fowner=0", ASSAY_HOOK_MMAP_CHECK,
		  ASSAY_FACT_PATH | ASSAY_FACT_DIGEST | ASSAY_FACT_SUBJECT | ASSAY_FACT_OWNER |
			  ASSAY_FACT_FS },
		{ "measure template=ima-sig", ASSAY_HOOK_FILE_CHECK,
		  ASSAY_FACT_PATH | ASSAY_FACT_DIGEST | ASSAY_FACT_XATTRS },
		{ "measure template=evm-sig", ASSAY_HOOK_FILE_CHECK,
		  ASSAY_FACT_PATH | ASSAY_FACT_DIGEST | ASSAY_FACT_XATTRS | ASSAY_FACT_OWNER },
		{ "measure digest_type=verity", ASSAY_HOOK_FILE_CHECK,
		  ASSAY_FACT_PATH | ASSAY_FACT_VERITY },
		{ "measure func=KEY_CHECK", ASSAY_HOOK_KEY_CHECK, ASSAY_FACT_BUFFER },
		{ "appraise func=MODULE_CHECK appraise_type=imasig|modsig", ASSAY_HOOK_MODULE_CHECK,
		  ASSAY_FACT_PATH | ASSAY_FACT_DIGEST | ASSAY_FACT_XATTRS | ASSAY_FACT_LISTS |
			  ASSAY_FACT_OWNER | ASSAY_FACT_MODSIG },
	};
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(fixture_parse(&f, assay_bytes_str(rows[i].policy)), 0);
		if (assay_policy_needs(f.policy, rows[i].hook) != rows[i].need)
			fail_msg("'%s' needs %#x", rows[i].policy,
				 assay_policy_needs(f.policy, rows[i].hook));
		fixture_done(&f);
	}
}

static void wanted_file_systems(void **state)
{
	static const struct {
		const char *policy;
		uint64_t magic;
		bool wants;
	} rows[] = {
		{ NULL, EXT4, true }, /* tcb */
		{ NULL, PROC, false },
		{ NULL, TMPFS, false },
		{ "measure fsmagic=ef53", EXT4, true },
		{ "measure fsmagic=ef53", PROC, false },
		{ "dont_measure uid=0\nmeasure", EXT4, true },
		{ "dont_measure func=FILE_CHECK\nmeasure", EXT4, true },
		{ "dont_measure func=FILE_CHECK\nmeasure func=FILE_CHECK", EXT4, false },
		{ "dont_measure fsname=ext4\nmeasure\naudit fowner=0", EXT4, true },
		{ "dont_measure fsname=ext4\nmeasure", EXT4, false },
		{ "measure func=KEY_CHECK\nmeasure func=CRITICAL_DATA", EXT4, false },
		{ "measure obj_type=x", EXT4, false },
		{ "dont_measure", EXT4, false },
	};
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *text = rows[i].policy ? rows[i].policy : assay_policy_builtin("tcb");
		struct assay_fs_facts fs = root_reads.fs;

		fs.magic = rows[i].magic;
		assert_int_equal(fixture_parse(&f, assay_bytes_str(text)), 0);
		if (assay_policy_wants_fs(f.policy, &fs) != rows[i].wants)
			fail_msg("'%s' on %#llx", text, (unsigned long long)fs.magic);
		fixture_done(&f);
	}
}

static void the_index_leaves_out_what_cannot_match(void **state)
{
	static const char text[] = "dont_measure fsmagic=9fa0\n"
				   "measure func=BPRM_CHECK\n"
				   "measure func=FILE_CHECK fsmagic=ef53 obj_type=x\n"
				   "dont_audit\n"
				   "measure func=FILE_CHECK uid=0\n";
	struct fixture f;

	assert_int_equal(fixture_parse(&f, assay_bytes_str(text)), 0);
	assert_int_equal(assay_policy_bucket(f.policy, ASSAY_HOOK_FILE_CHECK, PROC)->n, 2);
	assert_int_equal(assay_policy_bucket(f.policy, ASSAY_HOOK_FILE_CHECK, EXT4)->n, 1);
	assert_int_equal(assay_policy_bucket(f.policy, ASSAY_HOOK_FILE_CHECK, TMPFS)->n, 1);
	assert_int_equal(assay_policy_bucket(f.policy, ASSAY_HOOK_MODULE_CHECK, EXT4)->n, 0);
	assert_int_equal(assay_policy_bucket(f.policy, ASSAY_HOOK_MODULE_CHECK, PROC)->n, 1);
	fixture_done(&f);
}

static void hooks_out_of_range_match_nothing(void **state)
{
	struct assay_match_facts f = root_reads;
	struct assay_match m;
	struct fixture fx;

	f.hook = (enum assay_hook)77;
	assert_int_equal(fixture_parse(&fx, assay_bytes_str("measure func=BPRM_CHECK")), 0);
	assay_policy_match(fx.policy, &f, &m);
	assert_int_equal(m.actions, 0);
	assert_int_equal(assay_policy_text(fx.policy)->n_rules, 1);
	fixture_done(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_condition_holds_and_fails),
		cmocka_unit_test(plain_masks_are_equal_and_carets_contain),
		cmocka_unit_test(effective_ids_widen_with_capabilities),
		cmocka_unit_test(the_first_match_of_each_pair_decides),
		cmocka_unit_test(options_of_all_matching_rules_add_up),
		cmocka_unit_test(appraise_takes_back_only_an_earlier_hash),
		cmocka_unit_test(a_pair_without_do_rule_is_not_looked_at),
		cmocka_unit_test(post_setattr_ignores_func_and_mask),
		cmocka_unit_test(keys_and_critical_data_have_rules_of_their_own),
		cmocka_unit_test(a_subtype_must_be_there),
		cmocka_unit_test(by_subject_and_by_mask_say_what_was_looked_at),
		cmocka_unit_test(any_subject_is_for_everybody_or_says_not),
		cmocka_unit_test(unseen_is_whoever_is_measured),
		cmocka_unit_test(needs_name_what_rules_take),
		cmocka_unit_test(wanted_file_systems),
		cmocka_unit_test(the_index_leaves_out_what_cannot_match),
		cmocka_unit_test(hooks_out_of_range_match_nothing),
	};

	return cmocka_run_group_tests_name("policy_match", tests, NULL, NULL);
}
