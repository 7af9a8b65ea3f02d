/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/fmt.h"
#include "programs/assayd/main/anchor_choose.h"

/* What a machine may have below /sys, outermost folder first. */
static const char *const kernel_tpm[] = { "class", "class/tpmrm", "class/tpmrm/tpmrm0" };
static const char *const firmware_tpm[] = { "firmware", "firmware/acpi", "firmware/acpi/tables",
					    "firmware/acpi/tables/TPM2" };

static char sys[] = "/tmp/assay-sys.XXXXXX";

static int make_sys(void **state)
{
	memcpy(sys + sizeof(sys) - 7, "XXXXXX", 6);
	return mkdtemp(sys) ? 0 : -1;
}

static void make(const char *const *folders, size_t n)
{
	char path[256];

	for (size_t i = 0; i < n; i++) {
		assay_fmt(path, sizeof(path), "%s/%s", sys, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
}

static void clear(const char *const *folders, size_t n)
{
	char path[256];

	while (n-- > 0) {
		assay_fmt(path, sizeof(path), "%s/%s", sys, folders[n]);
		rmdir(path);
	}
}

static int remove_sys(void **state)
{
	clear(kernel_tpm, ARRAY_LEN(kernel_tpm));
	clear(firmware_tpm, ARRAY_LEN(firmware_tpm));
	return rmdir(sys);
}

/* Why; the anchor is in *@ret. */
static const char *choose(uint32_t anchor, const char *tcti, uint32_t *ret)
{
	struct anchor_choice choice;
	struct assay_conf conf;

	assay_conf_init(&conf);
	conf.anchor = anchor;
	if (tcti)
		assert_int_equal(assay_conf_set(&conf, "tcti", assay_bytes_str(tcti), NULL), 0);
	anchor_choose(&conf, sys, 0, &choice);
	if (choice.kind)
		assert_string_equal(choice.kind,
				    conf.anchor == ASSAY_CONF_ANCHOR_TPM2 ? "tpm2" : "soft");
	*ret = conf.anchor;
	return choice.why;
}

static void what_is_configured_stays(void **state)
{
	uint32_t anchor;

	for (uint32_t i = 0; i < ASSAY_CONF_ANCHOR_AUTO; i++) {
		assert_null(choose(i, NULL, &anchor));
		assert_int_equal(anchor, i);
	}
}

static void without_a_tpm_it_is_soft(void **state)
{
	uint32_t anchor;

	assert_string_equal(choose(ASSAY_CONF_ANCHOR_AUTO, NULL, &anchor), "none");
	assert_int_equal(anchor, ASSAY_CONF_ANCHOR_SOFT);
}

static void a_tpm_of_the_kernel_is_taken(void **state)
{
	uint32_t anchor;

	make(kernel_tpm, ARRAY_LEN(kernel_tpm));
	assert_string_equal(choose(ASSAY_CONF_ANCHOR_AUTO, NULL, &anchor), "found");
	assert_int_equal(anchor, ASSAY_CONF_ANCHOR_TPM2);
}

static void a_tpm_without_a_driver_is_named(void **state)
{
	uint32_t anchor;

	make(firmware_tpm, ARRAY_LEN(firmware_tpm));
	assert_string_equal(choose(ASSAY_CONF_ANCHOR_AUTO, NULL, &anchor), "no-driver");
	assert_int_equal(anchor, ASSAY_CONF_ANCHOR_SOFT);
}

static void a_tcti_says_that_there_is_one(void **state)
{
	uint32_t anchor;

	assert_string_equal(choose(ASSAY_CONF_ANCHOR_AUTO, "swtpm:path=/x", &anchor), "configured");
	assert_int_equal(anchor, ASSAY_CONF_ANCHOR_TPM2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_configured_stays, make_sys, remove_sys),
		cmocka_unit_test_setup_teardown(without_a_tpm_it_is_soft, make_sys, remove_sys),
		cmocka_unit_test_setup_teardown(a_tpm_of_the_kernel_is_taken, make_sys, remove_sys),
		cmocka_unit_test_setup_teardown(a_tpm_without_a_driver_is_named, make_sys,
						remove_sys),
		cmocka_unit_test_setup_teardown(a_tcti_says_that_there_is_one, make_sys,
						remove_sys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
