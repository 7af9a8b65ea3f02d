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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_keyword_is_taken),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
