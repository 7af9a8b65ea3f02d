/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The policies that the kernel has built in, rule for rule, and the order in which it puts them
 * together (ima_init_policy()). Of the kernel's build options those are taken that fit a daemon
 * whose policy can be replaced: IMA_WRITE_POLICY on, IMA_APPRAISE_SIGNED_INIT off.
 */
#include <errno.h>
#include <string.h>

#include "formats/policy_parser.h"

#define DONT_MEASURE                                                                               \
	"dont_measure fsmagic=0x9fa0\n"	    /* proc */                                             \
	"dont_measure fsmagic=0x62656572\n" /* sysfs */                                            \
	"dont_measure fsmagic=0x64626720\n" /* debugfs */                                          \
	"dont_measure fsmagic=0x1021994\n"  /* tmpfs */                                            \
	"dont_measure fsmagic=0x1cd1\n"	    /* devpts */                                           \
	"dont_measure fsmagic=0x42494e4d\n" /* binfmt_misc */                                      \
	"dont_measure fsmagic=0x73636673\n" /* securityfs */                                       \
	"dont_measure fsmagic=0xf97cff8c\n" /* selinuxfs */                                        \
	"dont_measure fsmagic=0x43415d53\n" /* smackfs */                                          \
	"dont_measure fsmagic=0x27e0eb\n"   /* cgroup */                                           \
	"dont_measure fsmagic=0x63677270\n" /* cgroup2 */                                          \
	"dont_measure fsmagic=0x6e736673\n" /* nsfs */                                             \
	"dont_measure fsmagic=0xde5e81e4\n" /* efivarfs */

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
	"dont_appraise fsmagic=0x9fa0\n"     /* proc */                                            \
	"dont_appraise fsmagic=0x62656572\n" /* sysfs */                                           \
	"dont_appraise fsmagic=0x64626720\n" /* debugfs */                                         \
	"dont_appraise fsmagic=0x1021994\n"  /* tmpfs */                                           \
	"dont_appraise fsmagic=0x858458f6\n" /* ramfs */                                           \
	"dont_appraise fsmagic=0x1cd1\n"     /* devpts */                                          \
	"dont_appraise fsmagic=0x42494e4d\n" /* binfmt_misc */                                     \
	"dont_appraise fsmagic=0x73636673\n" /* securityfs */                                      \
	"dont_appraise fsmagic=0xf97cff8c\n" /* selinuxfs */                                       \
	"dont_appraise fsmagic=0x43415d53\n" /* smackfs */                                         \
	"dont_appraise fsmagic=0x6e736673\n" /* nsfs */                                            \
	"dont_appraise fsmagic=0xde5e81e4\n" /* efivarfs */                                        \
	"dont_appraise fsmagic=0x27e0eb\n"   /* cgroup */                                          \
	"dont_appraise fsmagic=0x63677270\n" /* cgroup2 */                                         \
	"appraise func=POLICY_CHECK appraise_type=imasig\n"                                        \
	"appraise fowner=0\n"

#define SECURE_BOOT                                                                                \
	"appraise func=MODULE_CHECK appraise_type=imasig\n"                                        \
	"appraise func=FIRMWARE_CHECK appraise_type=imasig\n"                                      \
	"appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig\n"                                  \
	"appraise func=POLICY_CHECK appraise_type=imasig\n"

#define FAIL_SECURELY                                                                              \
	"# fail_securely has no rule: signatures do not verify on file systems that cannot be\n"   \
	"# trusted to show the same bytes twice (FUSE), even if a privileged process mounted "     \
	"them.\n"

struct builtin {
	const char *name, *text;
};

enum { TCB_ROW, IMA_TCB_ROW, SECURE_BOOT_ROW, APPRAISE_TCB_ROW, CRITICAL_DATA_ROW, FAIL_ROW };

/* In the order in which their rules come. */
static const struct builtin builtins[] = {
	[TCB_ROW] = { "tcb", DONT_MEASURE TCB },
	[IMA_TCB_ROW] = { "ima_tcb", DONT_MEASURE IMA_TCB },
	[SECURE_BOOT_ROW] = { "secure_boot", SECURE_BOOT },
	[APPRAISE_TCB_ROW] = { "appraise_tcb", APPRAISE_TCB },
	[CRITICAL_DATA_ROW] = { "critical_data", "measure func=CRITICAL_DATA\n" },
	[FAIL_ROW] = { "fail_securely", FAIL_SECURELY },
};

const char *assay_policy_builtin_name(unsigned i)
{
	return i < ARRAY_LEN(builtins) ? builtins[i].name : NULL;
}

const char *assay_policy_builtin(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(builtins); i++)
		if (strcmp(builtins[i].name, name) == 0)
			return builtins[i].text;
	return NULL;
}

static int choose_name(struct assay_bytes name, uint32_t column, uint32_t *chosen,
		       struct assay_err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(builtins); i++) {
		if (!assay_bytes_is(name, builtins[i].name))
			continue;
		*chosen |= 1u << i;
		return 0;
	}
	return assay_err_at_line(
		err, -EINVAL, 1, column,
		"there is no built-in policy '%s'; allowed: tcb ima_tcb secure_boot "
		"appraise_tcb critical_data fail_securely",
		assay_err_quote(name).text);
}

static int choose_names(struct assay_bytes names, uint32_t *ret, struct assay_err *err)
{
	uint32_t chosen = 0;
	int r = 0;

	for (size_t i = 0, start = 0; i <= names.len && r == 0; i++) {
		if (i < names.len && (!names.data[i] || !strchr("| \n", names.data[i])))
			continue;
		if (i > start)
			r = choose_name(assay_bytes(names.data + start, i - start),
					(uint32_t)start + 1, &chosen, err);
		start = i + 1;
	}
	if (r != 0)
		return r;
	if (!chosen)
		return assay_err_set(err, -EINVAL, "no built-in policy is named");
	if (chosen & 1u << TCB_ROW) /* ima_tcb is the older form of the same */
		chosen &= ~(1u << IMA_TCB_ROW);
	*ret = chosen;
	return 0;
}

int assay_policy_builtin_write(struct assay_bytes names, struct assay_wr *w,
			       bool *ret_fail_securely, struct assay_err *err)
{
	uint32_t chosen = 0;
	int r = choose_names(names, &chosen, err);

	if (r != 0)
		return r;
	if (chosen & 1u << FAIL_ROW)
		assay_wr_str(w, builtins[FAIL_ROW].text);
	for (unsigned i = 0; i < FAIL_ROW; i++)
		if (chosen & 1u << i)
			assay_wr_str(w, builtins[i].text);
	if (!assay_wr_ok(w))
		return assay_err_set(err, -ENOMEM, "the built-in policies do not fit");
	*ret_fail_securely = chosen & 1u << FAIL_ROW;
	return 0;
}

_Static_assert(sizeof(FAIL_SECURELY DONT_MEASURE TCB SECURE_BOOT APPRAISE_TCB) + 64 <=
		       ASSAY_POLICY_BUILTIN_TEXT,
	       "all of them fit");

int assay_policy_builtin_parse(struct assay_bytes names, struct assay_arena *arena,
			       struct assay_policy_text *ret, struct assay_err *err)
{
	char text[ASSAY_POLICY_BUILTIN_TEXT];
	struct assay_wr w = assay_wr(text, sizeof(text));
	struct assay_policy_text policy = { 0 };
	bool fail_securely = false;
	int r = assay_policy_builtin_write(names, &w, &fail_securely, err);

	if (r == 0 && w.len > (fail_securely ? strlen(FAIL_SECURELY) : 0))
		r = assay_policy_parse(assay_wr_done(&w), NULL, arena, &policy, err);
	if (r != 0)
		return r;
	policy.fail_securely = fail_securely;
	*ret = policy;
	return 0;
}
