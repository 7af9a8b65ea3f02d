/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text to rules and back. Matching is in test_policy_match.c. */
#include "unit/policy_fixture.h"

#include <errno.h>

/* Parses @in and compares the canonical text; then the canonical text with itself. */
static void assert_prints(const char *in, const char *out)
{
	struct fixture f, again;
	char *printed, *twice;
	int r = fixture_parse(&f, assay_bytes_str(in));

	if (r != 0)
		fail_msg("'%s': %u:%u: %s", in, f.err.line, f.err.column, f.err.text);
	printed = fixture_print(&f.text);
	assert_string_equal(printed, out);
	assert_int_equal(fixture_parse(&again, assay_bytes_str(printed)), 0);
	twice = fixture_print(&again.text);
	assert_string_equal(printed, twice);
	free(printed);
	free(twice);
	fixture_done(&f);
	fixture_done(&again);
}

static void every_keyword_is_taken(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "measure", "measure\n" },
		{ "dont_measure", "dont_measure\n" },
		{ "appraise", "appraise\n" },
		{ "dont_appraise", "dont_appraise\n" },
		{ "audit", "audit\n" },
		{ "dont_audit", "dont_audit\n" },
		{ "hash", "hash\n" },
		{ "dont_hash", "dont_hash\n" },
		{ "measure func=PATH_CHECK", "measure func=FILE_CHECK\n" },
		{ "measure func=FILE_MMAP mask=MAY_EXEC",
		  "measure func=MMAP_CHECK mask=MAY_EXEC\n" },
		{ "mask=^MAY_APPEND measure", "measure mask=^MAY_APPEND\n" },
		{ "measure fsmagic=EF53", "measure fsmagic=0xef53\n" },
		{ "measure fsmagic=0XFFFFFFFFFFFFFFFF", "measure fsmagic=0xffffffffffffffff\n" },
		{ "measure uid>+5", "measure uid>5\n" },
		{ "audit euid<4294967294 gid=0 fowner>1 fgroup<7",
		  "audit euid<4294967294 gid=0 fowner>1 fgroup<7\n" },
		{ "audit egid=3", "audit egid=3\n" },
		{ "measure fs_subtype=sshfs fsname=fuse",
		  "measure fsname=fuse fs_subtype=sshfs\n" },
		{ "measure fsuuid=01234567-89AB-cdef-0123-456789abcdef",
		  "measure fsuuid=01234567-89ab-cdef-0123-456789abcdef\n" },
		{ "measure func=KEY_CHECK keyrings=.ima|.evm pcr=11 template=ima-buf",
		  "measure func=KEY_CHECK keyrings=.ima|.evm pcr=11 template=ima-buf\n" },
		{ "measure func=CRITICAL_DATA label=selinux uid=0",
		  "measure func=CRITICAL_DATA label=selinux uid=0\n" },
		{ "measure template=d-ng|n-ng|sig", "measure template=ima-sig\n" },
		{ "appraise func=MODULE_CHECK appraise_type=imasig|modsig",
		  "appraise func=MODULE_CHECK appraise_type=imasig|modsig\n" },
		{ "appraise appraise_type=sigv3 digest_type=verity",
		  "appraise appraise_type=sigv3 digest_type=verity\n" },
		{ "appraise digest_type=verity appraise_type=sigv3",
		  "appraise appraise_type=sigv3 digest_type=verity\n" },
		{ "appraise func=SETXATTR_CHECK appraise_algos=sha512,sha256",
		  "appraise func=SETXATTR_CHECK appraise_algos=sha256,sha512\n" },
		{ "appraise permit_directio appraise_flag=check_blacklist appraise_type=imasig",
		  "appraise appraise_type=imasig permit_directio\n" },
		{ "audit subj_type=unconfined_t obj_user=system_u obj_role=r obj_type=t "
		  "subj_user=u subj_role=q",
		  "audit obj_user=system_u obj_role=r obj_type=t subj_user=u subj_role=q "
		  "subj_type=unconfined_t\n" },
		{ "\n  # comment\n\t \nmeasure\t func=BPRM_CHECK  # why\n#x\nhash",
		  "measure func=BPRM_CHECK\nhash\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_prints(rows[i].in, rows[i].out);
}

static struct assay_err parse_error(const char *text)
{
	struct fixture f;
	int r = fixture_parse(&f, assay_bytes_str(text));

	if (r == 0)
		fail_msg("'%s' was taken", text);
	assert_int_equal(r, f.err.code);
	fixture_done(&f);
	return f.err;
}

static void every_refusal_has_place_and_reason(void **state)
{
	static const struct {
		const char *text;
		uint32_t line, column;
		const char *part;
	} rows[] = {
		/* lines and tokens */
		{ "", 1, 1, "no rule" },
		{ "\n# only\n", 2, 1, "no rule" },
		{ "func=BPRM_CHECK", 1, 1, "no action; allowed: measure" },
		{ "hash\n\n  uid=0", 3, 3, "no action" },
		{ "measure hash", 1, 9, "second action 'hash'" },
		{ "measure measure", 1, 9, "this one has 'measure'" },
		{ "measur", 1, 1, "unknown token 'measur'; allowed: an action (measure" },
		{ "Measure", 1, 1, "unknown token 'Measure'" },
		{ "measure magic=1", 1, 9, "unknown token 'magic=1'; allowed: func mask" },
		{ "measure\r\n", 1, 8, "the line ends in CR" },
		{ "measure \x01\xff", 1, 9, "'\\x01\\xff'" },
		{ "measure=1", 1, 1, "unknown token 'measure=1'" },
		{ "measure permit_directio=1", 1, 24, "takes no value" },
		{ "measure func", 1, 13, "after func comes =" },
		{ "measure func=", 1, 14, "func has no value" },
		{ "measure fsname=", 1, 16, "fsname has no value" },
		{ "measure fsmagic>5", 1, 16, "after fsmagic comes =" },
		{ "measure uid", 1, 12, "after uid comes one of = > <" },
		{ "measure uid>=5", 1, 13, "there is no >= or <=" },
		/* values */
		{ "measure func=FOO_CHECK", 1, 14, "allowed: FILE_CHECK MMAP_CHECK" },
		{ "measure func=POST_SETATTR", 1, 14, "'POST_SETATTR' is no value of func" },
		{ "measure func=NONE", 1, 14, "is no value of func" },
		{ "measure func=file_check", 1, 14, "SETXATTR_CHECK" },
		{ "measure mask=MAY_ACCESS", 1, 14, "MAY_APPEND" },
		{ "measure mask=^", 1, 14, "'^' is no value" },
		{ "measure mask=^^MAY_READ", 1, 14, "is no value" },
		{ "measure mask=MAY_READ|MAY_EXEC", 1, 14, "is no value" },
		{ "measure fsmagic=0x", 1, 17, "hexadecimal" },
		{ "measure fsmagic=xyz", 1, 17, "hexadecimal" },
		{ "measure fsmagic=10000000000000000", 1, 17, "64 bits" },
		{ "measure fsuuid=0123", 1, 16, "xxxxxxxx-xxxx" },
		{ "measure fsuuid=0123456789abcdef0123456789abcdef0123", 1, 16, "xxxxxxxx-xxxx" },
		{ "measure fsuuid=0123456g-89ab-cdef-0123-456789abcdef", 1, 16, "xxxxxxxx" },
		{ "measure uid=root", 1, 13, "decimal number" },
		{ "measure uid=-1", 1, 13, "0 to 4294967294" },
		{ "measure uid=4294967295", 1, 13, "0 to 4294967294" },
		{ "measure euid=4294967296", 1, 14, "0 to 4294967294" },
		{ "measure gid=0x10", 1, 13, "decimal number" },
		{ "measure egid=99999999999999999999", 1, 14, "decimal number" },
		{ "measure fowner<", 1, 16, "fowner has no value" },
		{ "measure fgroup=1.5", 1, 16, "decimal number" },
		{ "measure pcr=64", 1, 13, "from 0 to 63" },
		{ "measure pcr=-1", 1, 13, "from 0 to 63" },
		{ "measure pcr=0x0a", 1, 13, "from 0 to 63" },
		{ "measure func=KEY_CHECK keyrings=|a", 1, 33, "empty item" },
		{ "measure func=KEY_CHECK keyrings=a||b", 1, 35, "empty item" },
		{ "measure func=KEY_CHECK keyrings=a|", 1, 35, "empty item" },
		{ "measure func=CRITICAL_DATA label=|", 1, 34, "empty item" },
		{ "measure template=nope", 1, 18, "'nope' is no value of template" },
		{ "measure template=d-ng|sig", 1, 18, "the format of one of these" },
		{ "measure digest_type=ima", 1, 21, "allowed: verity" },
		{ "appraise appraise_type=modsig", 1, 24, "allowed: imasig sigv3 imasig|modsig" },
		{ "appraise appraise_type=sigv2", 1, 24, "allowed: imasig" },
		{ "appraise appraise_algos=sha257", 1, 25, "'sha257' is no hash" },
		{ "appraise appraise_algos=sha256,,sha1", 1, 32, "'' is no hash" },
		{ "appraise appraise_algos=sha256,", 1, 32, "'' is no hash" },
		{ "appraise appraise_algos=SHA256", 1, 25, "'SHA256' is no hash" },
		/* twice */
		{ "measure func=BPRM_CHECK func=BPRM_CHECK", 1, 25, "given twice" },
		{ "measure mask=MAY_READ mask=^MAY_READ", 1, 23, "taken in column 9, by mask" },
		{ "measure uid=0 euid=0", 1, 15,
		  "the place of euid was taken in column 9, by uid" },
		{ "audit template=ima", 1, 7, "'template=ima': template= is only allowed with" },
		{ "measure uid=0\r\n", 1, 14, "the line ends in CR" },
		{ "measure fsmagic=1 fsmagic=1", 1, 19, "given twice" },
		{ "measure fs_subtype=a fs_subtype=a", 1, 22, "given twice" },
		{ "measure fsuuid=01234567-89ab-cdef-0123-456789abcdef "
		  "fsuuid=01234567-89ab-cdef-0123-456789abcdef",
		  1, 53, "given twice" },
		{ "measure uid=0 uid=0", 1, 15, "given twice" },
		{ "measure uid=0 euid>0", 1, 15, "the place of euid was taken" },
		{ "measure euid=0 uid=0", 1, 16, "the place of uid was taken" },
		{ "measure gid=0 egid=0", 1, 15, "given twice" },
		{ "measure egid=0 egid=0", 1, 16, "given twice" },
		{ "measure fowner=0 fowner>9", 1, 18, "given twice" },
		{ "measure fgroup=0 fgroup=0", 1, 18, "given twice" },
		{ "measure func=KEY_CHECK keyrings=a keyrings=b", 1, 35, "given twice" },
		{ "measure func=CRITICAL_DATA label=a label=b", 1, 36, "given twice" },
		{ "measure obj_type=a obj_type=b", 1, 20, "given twice" },
		{ "measure template=ima template=ima", 1, 22, "given twice" },
		{ "appraise appraise_algos=sha1 appraise_algos=sha1", 1, 30, "given twice" },
		/* order */
		{ "template=ima measure", 1, 1, "must come after the action measure" },
		{ "appraise digest_type=verity appraise_type=imasig", 1, 43, "allowed: sigv3" },
		{ "appraise func=MODULE_CHECK appraise_type=sigv3 appraise_type=imasig|modsig", 1,
		  62, "after appraise_type=sigv3" },
		{ "appraise digest_type=verity appraise_type=imasig|modsig", 1, 43,
		  "after digest_type=verity" },
		/* what does not go together */
		{ "dont_measure pcr=10", 1, 14, "pcr is not allowed here: only with the action" },
		{ "appraise pcr=10", 1, 10, "only with the action measure" },
		{ "audit pcr=10", 1, 7, "only with the action measure" },
		{ "hash template=ima", 1, 6, "only allowed with measure" },
		{ "measure appraise_type=imasig", 1, 9, "only with the action appraise" },
		{ "dont_appraise appraise_type=imasig", 1, 15, "only with the action appraise" },
		{ "hash appraise_algos=sha256", 1, 6, "only with the action appraise" },
		{ "appraise appraise_type=imasig|modsig", 1, 10, "only with func=MODULE_CHECK" },
		{ "appraise digest_type=verity", 1, 10, "needs appraise_type=sigv3" },
		{ "appraise appraise_type=imasig digest_type=verity", 1, 31,
		  "needs appraise_type" },
		{ "measure keyrings=a", 1, 9, "only with func=KEY_CHECK" },
		{ "measure label=a func=KEY_CHECK", 1, 9, "only with func=CRITICAL_DATA" },
		{ "appraise func=KEY_CHECK", 1, 1, "allowed: measure dont_measure" },
		{ "audit func=KEXEC_CMDLINE", 1, 1,
		  "audit is not allowed with func=KEXEC_CMDLINE" },
		{ "measure func=SETXATTR_CHECK", 1, 1, "allowed: appraise" },
		{ "appraise func=SETXATTR_CHECK", 1, 10, "needs appraise_algos=" },
		{ "appraise func=SETXATTR_CHECK appraise_algos=sha256 uid=0", 1, 52,
		  "uid is not allowed with func=SETXATTR_CHECK" },
		{ "measure mask=MAY_READ func=KEXEC_CMDLINE", 1, 9, "mask is not allowed" },
		{ "measure func=KEY_CHECK euid=0", 1, 24,
		  "allowed: uid gid keyrings pcr template" },
		{ "measure func=CRITICAL_DATA subj_user=u", 1, 28, "not allowed" },
		{ "appraise func=MODULE_CHECK digest_type=verity appraise_type=sigv3", 1, 28,
		  "digest_type is not allowed with func=MODULE_CHECK" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct assay_err err = parse_error(rows[i].text);

		if (!strstr(err.text, rows[i].part) || err.line != rows[i].line ||
		    err.column != rows[i].column || err.code != -EINVAL)
			fail_msg("'%s': %u:%u: %s (%d)", rows[i].text, err.line, err.column,
				 err.text, err.code);
		if (strlen(err.text) + 1 == sizeof(err.text))
			fail_msg("'%s': the message is cut: %s", rows[i].text, err.text);
	}
}

static void text_is_text_and_bounded(void **state)
{
	static const char nul[] = "measure\nhash \0 x";
	struct assay_policy_text text;
	struct assay_arena arena = { 0 };
	struct assay_err err;
	size_t size = ASSAY_POLICY_SIZE_MAX + 1;
	char *big = malloc(size);
	char many[10 + 2 * ASSAY_POLICY_ITEMS_MAX + 40];
	size_t n;

	assert_int_equal(assay_policy_parse(assay_bytes(nul, sizeof(nul) - 1), NULL, &arena, &text,
					    &err),
			 -EINVAL);
	assert_int_equal(err.line, 2);
	assert_int_equal(err.column, 6);
	assert_non_null(big);
	memset(big, ' ', size);
	assert_int_equal(assay_policy_parse(assay_bytes(big, size), NULL, &arena, &text, &err),
			 -E2BIG);
	for (size_t i = 0; i < size; i += 5)
		memcpy(big + i, "hash\n", size - i < 5 ? size - i : 5);
	assert_int_equal(assay_policy_parse(assay_bytes(big, 5 * ASSAY_POLICY_RULES_MAX + 4), NULL,
					    &arena, &text, &err),
			 -E2BIG);
	assert_int_equal(err.line, ASSAY_POLICY_RULES_MAX + 1);
	free(big);
	n = (size_t)snprintf(many, sizeof(many), "measure func=KEY_CHECK keyrings=a");
	for (unsigned i = 0; i < ASSAY_POLICY_ITEMS_MAX; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "|a");
	err = parse_error(many);
	assert_int_equal(err.code, -E2BIG);
}

static void the_largest_policy_fits(void **state)
{
	struct fixture f;
	size_t size = 5 * ASSAY_POLICY_RULES_MAX;
	char *big = malloc(size);

	assert_non_null(big);
	for (size_t i = 0; i < size; i += 5)
		memcpy(big + i, "hash\n", 5);
	assert_int_equal(fixture_parse(&f, assay_bytes(big, size)), 0);
	assert_int_equal(f.text.n_rules, ASSAY_POLICY_RULES_MAX);
	fixture_done(&f);
	free(big);
}

static void memory_ends_cleanly_anywhere(void **state)
{
	static const char text[] = "measure func=KEY_CHECK keyrings=a|b template=ima-buf\n"
				   "audit fsname=ext4 fsmagic=1 obj_type=t\n";
	size_t size = assay_policy_arena_size(assay_bytes_str(text));
	uint8_t *memory = malloc(size);
	unsigned failed = 0;

	assert_non_null(memory);
	for (size_t i = 0; i <= size; i += i < 2048 ? 1 : 256) {
		const struct assay_policy *policy;
		struct assay_policy_text parsed;
		struct assay_arena arena;
		int r;

		assay_arena_init(&arena, memory, i);
		r = assay_policy_parse(assay_bytes_str(text), NULL, &arena, &parsed, NULL);
		if (r == 0)
			r = assay_policy_compile(&parsed, &arena, &policy);
		assert_true(r == 0 || r == -ENOMEM);
		failed += r != 0;
	}
	assert_true(failed > 1000);
	free(memory);
}

static void the_kernel_takes_it_and_we_warn(void **state)
{
	static const struct {
		const char *text;
		enum assay_policy_warning what;
		uint32_t column;
		const char *out;
	} rows[] = {
		{ "measure fsname=a fsname=b", ASSAY_POLICY_WARN_TWICE, 18, "measure fsname=b\n" },
		{ "measure pcr=1 pcr=2", ASSAY_POLICY_WARN_TWICE, 15, "measure pcr=2\n" },
		{ "measure fsmagic=0 fsmagic=5", ASSAY_POLICY_WARN_TWICE, 19,
		  "measure fsmagic=0x5\n" },
		{ "audit fsuuid=00000000-0000-0000-0000-000000000000 "
		  "fsuuid=00000000-0000-0000-0000-000000000001",
		  ASSAY_POLICY_WARN_TWICE, 51,
		  "audit fsuuid=00000000-0000-0000-0000-000000000001\n" },
		{ "appraise appraise_type=imasig appraise_type=sigv3", ASSAY_POLICY_WARN_TWICE, 31,
		  "appraise appraise_type=sigv3\n" },
		{ "appraise appraise_flag=x", ASSAY_POLICY_WARN_APPRAISE_FLAG, 10, "appraise\n" },
		{ "audit obj_type=t", ASSAY_POLICY_WARN_LSM, 7, "audit obj_type=t\n" },
		{ "measure digest_type=verity", ASSAY_POLICY_WARN_VERITY_TEMPLATE, 9,
		  "measure digest_type=verity\n" },
		{ "measure digest_type=verity template=ima-sig", ASSAY_POLICY_WARN_VERITY_TEMPLATE,
		  9, "measure template=ima-sig digest_type=verity\n" },
	};
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_prints(rows[i].text, rows[i].out);
		assert_int_equal(fixture_parse(&f, assay_bytes_str(rows[i].text)), 0);
		assert_int_equal(f.warnings, 1);
		assert_int_equal(f.warning[0].what, rows[i].what);
		assert_int_equal(f.warning[0].line, 1);
		assert_int_equal(f.warning[0].column, rows[i].column);
		fixture_done(&f);
	}
	assert_int_equal(fixture_parse(&f, assay_bytes_str("measure digest_type=verity "
							   "template=d-ngv2|n-ng|sig "
							   "digest_type=verity")),
			 0);
	assert_int_equal(f.warnings, 0);
	fixture_done(&f);
}

static void the_default_template_is_known(void **state)
{
	static const char text[] = "measure template=d-ng|n-ng|iuid";
	struct assay_policy_options options = {
		.size = sizeof(options),
		.template = assay_bytes_str("d-ng|n-ng|iuid"),
	};
	uint8_t memory[8192];
	struct assay_arena arena;
	struct assay_policy_text policy;

	assert_true(parse_error(text).column == 18);
	assay_arena_init(&arena, memory, sizeof(memory));
	assert_int_equal(assay_policy_parse(assay_bytes_str(text), &options, &arena, &policy, NULL),
			 0);
	assert_true(assay_bytes_is(policy.rules[0].template, "d-ng|n-ng|iuid"));
	options.size++;
	assert_int_equal(assay_policy_parse(assay_bytes_str(text), &options, &arena, &policy, NULL),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_keyword_is_taken),
		cmocka_unit_test(every_refusal_has_place_and_reason),
		cmocka_unit_test(text_is_text_and_bounded),
		cmocka_unit_test(the_largest_policy_fits),
		cmocka_unit_test(memory_ends_cleanly_anywhere),
		cmocka_unit_test(the_kernel_takes_it_and_we_warn),
		cmocka_unit_test(the_default_template_is_known),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
