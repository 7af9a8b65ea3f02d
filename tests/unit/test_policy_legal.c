/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every hook with every keyword and every action, against the matrix of the kernel's
 * ima_validate_rule(); the built-in policies, letter by letter; the policies that real kernels
 * took; and texts with every bit flipped.
 */
#include "unit/policy_fixture.h"

#include <errno.h>

#include "unit/kernel_lists.h"

/* ---- the matrix ----------------------------------------------------------------------------- */

/* A letter for what each keyword's value is, and the rule text that gives it. */
static const struct {
	char letter;
	const char *text;
} keywords[] = {
	{ 'm', "mask=MAY_READ" },
	{ 'i', "mask=^MAY_READ" },
	{ 'g', "fsmagic=0xef53" },
	{ 'n', "fsname=ext4" },
	{ 's', "fs_subtype=x" },
	{ 'u', "fsuuid=01234567-89ab-cdef-0123-456789abcdef" },
	{ 'U', "uid=0" },
	{ 'E', "euid=0" },
	{ 'G', "gid=0" },
	{ 'H', "egid=0" },
	{ 'o', "fowner=0" },
	{ 'f', "fgroup=0" },
	{ 'k', "keyrings=.ima" },
	{ 'l', "label=selinux" },
	{ 'L', "obj_type=t" },
	{ 'S', "subj_role=r" },
	{ 'p', "pcr=11" },
	{ 't', "template=ima-ng" },
	{ 'd', "permit_directio" },
	{ 'v', "digest_type=verity" },
	{ 'w', "digest_type=verity appraise_type=sigv3" },
	{ '1', "appraise_type=imasig" },
	{ '3', "appraise_type=sigv3" },
	{ 'M', "appraise_type=imasig|modsig" },
	{ 'a', "appraise_algos=sha256" },
};

#define FILE_CONDS "mignsuUEGHofLS"

/* What may stand beside func= for each kind of action; NULL: that action is refused. */
struct matrix_row {
	const char *func;
	const char *measure, *appraise, *other; /* other: dont_*, audit, hash */
};

static const struct matrix_row matrix[] = {
	{ "", FILE_CONDS "ptdv", FILE_CONDS "dw13a", FILE_CONDS "dv" },
	{ "func=FILE_CHECK", FILE_CONDS "ptdv", FILE_CONDS "dw13a", FILE_CONDS "dv" },
	{ "func=PATH_CHECK", FILE_CONDS "ptdv", FILE_CONDS "dw13a", FILE_CONDS "dv" },
	{ "func=MMAP_CHECK", FILE_CONDS "ptdv", FILE_CONDS "dw13a", FILE_CONDS "dv" },
	{ "func=FILE_MMAP", FILE_CONDS "ptdv", FILE_CONDS "dw13a", FILE_CONDS "dv" },
	{ "func=MMAP_CHECK_REQPROT", FILE_CONDS "ptdv", FILE_CONDS "dw13a", FILE_CONDS "dv" },
	{ "func=BPRM_CHECK", FILE_CONDS "ptdv", FILE_CONDS "dw13a", FILE_CONDS "dv" },
	{ "func=CREDS_CHECK", FILE_CONDS "ptdv", FILE_CONDS "dw13a", FILE_CONDS "dv" },
	{ "func=FIRMWARE_CHECK", FILE_CONDS "ptdv", FILE_CONDS "dw13a", FILE_CONDS "dv" },
	{ "func=POLICY_CHECK", FILE_CONDS "ptdv", FILE_CONDS "dw13a", FILE_CONDS "dv" },
	{ "func=MODULE_CHECK", FILE_CONDS "ptd", FILE_CONDS "d13Ma", FILE_CONDS "d" },
	{ "func=KEXEC_KERNEL_CHECK", FILE_CONDS "ptd", FILE_CONDS "d13Ma", FILE_CONDS "d" },
	{ "func=KEXEC_INITRAMFS_CHECK", FILE_CONDS "ptd", FILE_CONDS "d13Ma", FILE_CONDS "d" },
	{ "func=KEXEC_CMDLINE", "gnsuUEGHofLSpt", NULL, "gnsuUEGHofLS" },
	{ "func=KEY_CHECK", "UGkpt", NULL, "UGk" },
	{ "func=CRITICAL_DATA", "UGlpt", NULL, "UGl" },
	{ "func=SETXATTR_CHECK", NULL, "a", NULL },
};

static bool is_taken(const char *text)
{
	struct fixture f;
	int r = fixture_parse(&f, assay_bytes_str(text));

	assert_true(r == 0 || r == -EINVAL);
	fixture_done(&f);
	return r == 0;
}

static const char *row_allows(const struct matrix_row *row, const char *action)
{
	if (strcmp(action, "measure") == 0)
		return row->measure;
	if (strcmp(action, "appraise") == 0)
		return row->appraise;
	/* About buffers, only the measure pair. */
	if (!row->appraise && strcmp(action, "dont_measure") != 0)
		return NULL;
	return row->other;
}

static void assert_cell(const struct matrix_row *row, const char *action, size_t k)
{
	const char *allows = row_allows(row, action);
	bool want = allows && strchr(allows, keywords[k].letter);
	char text[200];

	snprintf(text, sizeof(text), "%s %s %s", action, row->func, keywords[k].text);
	if (is_taken(text) != want)
		fail_msg("'%s' should be %s", text, want ? "taken" : "refused");
}

static void the_matrix_holds(void **state)
{
	static const char *const actions[] = { "measure",	"dont_measure", "appraise",
					       "dont_appraise", "audit",	"dont_audit",
					       "hash",		"dont_hash" };
	char text[80];

	for (size_t i = 0; i < ARRAY_LEN(matrix); i++)
		for (size_t a = 0; a < ARRAY_LEN(actions); a++) {
			const char *allows = row_allows(&matrix[i], actions[a]);
			bool alone = allows && strcmp(matrix[i].func, "func=SETXATTR_CHECK") != 0;

			snprintf(text, sizeof(text), "%s %s", actions[a], matrix[i].func);
			if (is_taken(text) != alone)
				fail_msg("'%s' should be %s", text, alone ? "taken" : "refused");
			for (size_t k = 0; k < ARRAY_LEN(keywords); k++)
				assert_cell(&matrix[i], actions[a], k);
		}
}

/* ---- built-in policies ---------------------------------------------------------------------- */

#define DONT(what)                                                                                 \
	what " fsmagic=0x9fa0\n" what " fsmagic=0x62656572\n" what " fsmagic=0x64626720\n" what    \
	     " fsmagic=0x1021994\n"
#define DONT_MEASURE                                                                               \
	DONT("dont_measure")                                                                       \
	"dont_measure fsmagic=0x1cd1\n"                                                            \
	"dont_measure fsmagic=0x42494e4d\n"                                                        \
	"dont_measure fsmagic=0x73636673\n"                                                        \
	"dont_measure fsmagic=0xf97cff8c\n"                                                        \
	"dont_measure fsmagic=0x43415d53\n"                                                        \
	"dont_measure fsmagic=0x27e0eb\n"                                                          \
	"dont_measure fsmagic=0x63677270\n"                                                        \
	"dont_measure fsmagic=0x6e736673\n"                                                        \
	"dont_measure fsmagic=0xde5e81e4\n"
#define TCB                                                                                        \
	"measure func=MMAP_CHECK mask=MAY_EXEC\n"                                                  \
	"measure func=BPRM_CHECK mask=MAY_EXEC\n"                                                  \
	"measure func=FILE_CHECK mask=^MAY_READ euid=0\n"                                          \
	"measure func=FILE_CHECK mask=^MAY_READ uid=0\n"                                           \
	"measure func=MODULE_CHECK\n"                                                              \
	"measure func=FIRMWARE_CHECK\n"                                                            \
	"measure func=POLICY_CHECK\n"
#define IMA_TCB                                                                                    \
	"measure func=MMAP_CHECK mask=MAY_EXEC\n"                                                  \
	"measure func=BPRM_CHECK mask=MAY_EXEC\n"                                                  \
	"measure func=FILE_CHECK mask=MAY_READ uid=0\n"                                            \
	"measure func=MODULE_CHECK\n"                                                              \
	"measure func=FIRMWARE_CHECK\n"
#define APPRAISE_TCB                                                                               \
	DONT("dont_appraise")                                                                      \
	"dont_appraise fsmagic=0x858458f6\n"                                                       \
	"dont_appraise fsmagic=0x1cd1\n"                                                           \
	"dont_appraise fsmagic=0x42494e4d\n"                                                       \
	"dont_appraise fsmagic=0x73636673\n"                                                       \
	"dont_appraise fsmagic=0xf97cff8c\n"                                                       \
	"dont_appraise fsmagic=0x43415d53\n"                                                       \
	"dont_appraise fsmagic=0x6e736673\n"                                                       \
	"dont_appraise fsmagic=0xde5e81e4\n"                                                       \
	"dont_appraise fsmagic=0x27e0eb\n"                                                         \
	"dont_appraise fsmagic=0x63677270\n"                                                       \
	"appraise func=POLICY_CHECK appraise_type=imasig\n"                                        \
	"appraise fowner=0\n"
#define SECURE_BOOT                                                                                \
	"appraise func=MODULE_CHECK appraise_type=imasig\n"                                        \
	"appraise func=FIRMWARE_CHECK appraise_type=imasig\n"                                      \
	"appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig\n"                                  \
	"appraise func=POLICY_CHECK appraise_type=imasig\n"
#define CRITICAL_DATA "measure func=CRITICAL_DATA\n"

static void builtins_are_the_kernels(void **state)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
		{ "tcb", DONT_MEASURE TCB },	    { "ima_tcb", DONT_MEASURE IMA_TCB },
		{ "secure_boot", SECURE_BOOT },	    { "appraise_tcb", APPRAISE_TCB },
		{ "critical_data", CRITICAL_DATA },
	};
	struct fixture f;
	char *printed;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_string_equal(assay_policy_builtin_name((unsigned)i), rows[i].name);
		assert_string_equal(assay_policy_builtin(rows[i].name), rows[i].text);
		assert_int_equal(fixture_parse(&f, assay_bytes_str(rows[i].text)), 0);
		printed = fixture_print(&f.text);
		assert_string_equal(printed, rows[i].text);
		free(printed);
		fixture_done(&f);
	}
	assert_string_equal(assay_policy_builtin_name(5), "fail_securely");
	assert_null(assay_policy_builtin_name(6));
	assert_int_equal(assay_policy_builtin("fail_securely")[0], '#');
	assert_null(assay_policy_builtin("tc"));
}

static void builtins_come_in_the_kernels_order(void **state)
{
	static const struct {
		const char *names, *text;
		bool fail_securely;
	} rows[] = {
		{ "tcb", DONT_MEASURE TCB, false },
		{ "critical_data|appraise_tcb|secure_boot|tcb",
		  DONT_MEASURE TCB SECURE_BOOT APPRAISE_TCB CRITICAL_DATA, false },
		{ "ima_tcb tcb", DONT_MEASURE TCB, false },
		{ "|ima_tcb\nfail_securely ", DONT_MEASURE IMA_TCB, true },
		{ "fail_securely", "", true },
	};
	uint8_t *memory = malloc(ASSAY_POLICY_BUILTIN_ARENA);
	struct assay_policy_text policy;
	const struct assay_policy *compiled;
	struct assay_arena arena;
	struct assay_err err;
	size_t comment;
	char *printed;

	assert_non_null(memory);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[ASSAY_POLICY_BUILTIN_TEXT];
		struct assay_wr w = assay_wr(text, sizeof(text));
		bool fail_securely;

		assert_int_equal(assay_policy_builtin_write(assay_bytes_str(rows[i].names), &w,
							    &fail_securely, &err),
				 0);
		assert_int_equal(fail_securely, rows[i].fail_securely);
		assay_arena_init(&arena, memory, ASSAY_POLICY_BUILTIN_ARENA);
		assert_int_equal(assay_policy_builtin_parse(assay_bytes_str(rows[i].names), &arena,
							    &policy, &err),
				 0);
		assert_true(assay_wr_ok(&w));
		text[w.len] = '\0';
		/* A comment stands in front, so that texts differ where meanings do. */
		comment = fail_securely ? strlen(assay_policy_builtin("fail_securely")) : 0;
		assert_memory_equal(text, assay_policy_builtin("fail_securely"), comment);
		assert_string_equal(text + comment, rows[i].text);
		printed = fixture_print(&policy);
		assert_string_equal(printed, rows[i].text);
		assert_int_equal(policy.fail_securely, rows[i].fail_securely);
		assert_int_equal(assay_policy_compile(&policy, &arena, &compiled), 0);
		free(printed);
	}
	assert_int_equal(assay_policy_builtin_parse(assay_bytes_str("tcb|tbc"), &arena, &policy,
						    &err),
			 -EINVAL);
	assert_int_equal(err.column, 5);
	assert_non_null(strstr(err.text, "'tbc'"));
	assert_int_equal(assay_policy_builtin_parse(assay_bytes_str(" | "), &arena, &policy, NULL),
			 -EINVAL);
	free(memory);
}

/* ---- what real kernels took ----------------------------------------------------------------- */

static const char *const runs[] = {
	"6.1.0/plain-no-boot-policy", "6.1.0/rich-sha256-ima-sig", "6.1.0/sha1-ima",
	"6.1.0/sha1-ima-ng",	      "6.12.95/sha512-ima-ng",	   "6.12.95/rich-sha256-ima-sig",
	"7.2.13/rich-sha256-ima-sig", "7.2.13/sha384-evm-sig",
};

static void assert_fixed_point(const struct assay_policy_text *policy)
{
	struct fixture f;
	char *once = fixture_print(policy), *twice;

	assert_int_equal(fixture_parse(&f, assay_bytes_str(once)), 0);
	twice = fixture_print(&f.text);
	assert_string_equal(once, twice);
	free(once);
	free(twice);
	fixture_done(&f);
}

static void policies_of_real_kernels_are_taken(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		struct assay_file file;
		struct fixture f;
		uint32_t lines = 0;

		kernel_file_read(runs[i], "policy.txt", &file);
		assert_int_equal(fixture_parse(&f, file.bytes), 0);
		for (size_t at = 0; at < file.bytes.len; at++)
			lines += file.bytes.data[at] == '\n';
		assert_int_equal(f.text.n_rules, lines);
		assert_int_equal(f.warnings, 0);
		assert_fixed_point(&f.text);
		fixture_done(&f);
		assay_file_free(&file);
	}
}

/* ---- bad input ------------------------------------------------------------------------------ */

static const char golden[] =
	"# golden\n"
	"measure func=FILE_CHECK mask=^MAY_READ fsmagic=0xef53 fsname=ext4 euid>0 egid<9 pcr=11 "
	"fsuuid=01234567-89ab-cdef-0123-456789abcdef template=ima-sigv2 digest_type=verity\n"
	"measure func=KEY_CHECK keyrings=.ima|.evm uid=0 gid=1 # comment\n"
	"\tdont_measure func=CRITICAL_DATA label=selinux|kernel_info\n"
	"appraise func=MODULE_CHECK appraise_type=imasig|modsig appraise_algos=sha256,sm3\n"
	"hash fowner<10 fgroup>2 fs_subtype=sshfs permit_directio obj_user=a subj_type=b\n";

static void parse_anything(struct assay_bytes text, unsigned *taken)
{
	struct fixture f;
	int r = fixture_parse(&f, text);

	if (r == 0)
		assert_fixed_point(&f.text);
	else
		assert_true(f.err.code == r && f.err.text[0] && f.err.line > 0 && f.err.column > 0);
	*taken += r == 0;
	fixture_done(&f);
}

static void cut_anywhere(void **state)
{
	unsigned taken = 0;

	for (size_t len = 0; len < sizeof(golden); len++)
		parse_anything(assay_bytes(golden, len), &taken);
	assert_true(taken > 50 && taken < sizeof(golden) - 50);
}

static void any_bit_flipped(void **state)
{
	char text[sizeof(golden)];
	unsigned taken = 0;

	for (size_t bit = 0; bit < 8 * (sizeof(golden) - 1); bit++) {
		memcpy(text, golden, sizeof(golden));
		text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
		parse_anything(assay_bytes(text, sizeof(golden) - 1), &taken);
	}
	assert_true(taken > 50 && taken < 3 * sizeof(golden));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_matrix_holds),
		cmocka_unit_test(builtins_are_the_kernels),
		cmocka_unit_test(builtins_come_in_the_kernels_order),
		cmocka_unit_test(policies_of_real_kernels_are_taken),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(any_bit_flipped),
	};

	return cmocka_run_group_tests_name("policy_legal", tests, NULL, NULL);
}
