/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel with IMA has extended PCR 10 before us, and may go on: its list is a file here, and its
 * extends are made by the test. */
#include "unit/kernel_fixture.h"

/* The segment begins with the kernel's records, byte for byte, and PCR 10 at zero. */
static void assert_begins_with(struct kernel *k)
{
	static const struct assay_pcr_value zero;
	struct segment_file s;

	assert_true(load_segment(k->f, 1, &s));
	assert_memory_equal(s.records.data, k->list, k->len);
	assert_memory_equal(&s.head.base[10], &zero, sizeof(zero));
	assay_file_free(&s.file);
}

static void list_begins_with_the_kernels(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		fixture_init(&f, m % 2 ? ANCHOR_GROUP : ANCHOR_EACH);
		kernel_init(&k, &f);
		k.pads = m >= 2;
		kernel_measures(&k, 7);
		for (unsigned run = 0; run < 3; run++) {
			fixture_start(&f);
			measure_files(&f, 10);
			fixture_stop(&f);
		}
		assert_begins_with(&k);
		assert_int_equal(assert_agrees(&f), 1);
		assert_int_equal(count_event(&f, 1, "base"), 0);
		assert_int_equal(count_in_list(&f, 1, "boot_aggregate", 14), 0);
		assert_int_equal(count_in_list(&f, 1, "kernel_total=7;", 15), 1);
		assert_all_there(&f, true);
		kernel_done(&k);
		fixture_done(&f);
	}
}

/* What a TPM cannot have extended: the list is not taken over, and we begin where the PCRs are. */
static void a_pcr_that_no_tpm_has(void **state)
{
	struct fixture f;
	struct kernel k;
	size_t len;

	fixture_init(&f, ANCHOR_GROUP);
	kernel_init(&k, &f);
	kernel_measures(&k, 1);
	len = k.len;
	memcpy(k.list + len, k.list, len);
	k.list[len] = 40;
	k.len = 2 * len;
	kernel_publish(&k);
	fixture_start(&f);
	measure_files(&f, 10);
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 1);
	assert_int_equal(count_event(&f, 1, "base"), 1);
	kernel_done(&k);
	fixture_done(&f);
}

/* The kernel measures on, while we are away and while we run. */
static void later_records_are_merged(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 8; m++) {
		unsigned many = m < 4 ? 2 : 150;

		fixture_init(&f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		kernel_init(&k, &f);
		k.pads = m & 2;
		k.two_pcrs = m >= 4;
		kernel_measures(&k, 3);
		fixture_start(&f);
		measure_files(&f, 10);
		fixture_stop(&f);
		kernel_measures(&k, many); /* away */
		fixture_start(&f);
		measure_files(&f, 5);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		fixture_stop(&f);
		assert_int_equal(assert_agrees(&f), 1);
		fixture_start(&f);
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
			kernel_measures(&k, many); /* while we run */
			measure_files(&f, 5);
		}
		fixture_stop(&f);
		assert_int_equal(assert_agrees(&f), 1);
		for (unsigned i = 0; i < assay_core_records(k.core); i++) {
			char name[32];
			size_t len = assay_fmt(name, sizeof(name), "kernel-%u", i) + 1;

			assert_int_equal(count_in_list(&f, 1, name, len), 1);
		}
		assert_all_there(&f, true);
		kernel_done(&k);
		fixture_done(&f);
	}
}

static struct kernel *other;
static const struct assay_anchor_ops *alone;

static int extend_and_kernel(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
			     struct assay_err *err)
{
	int rc = alone->extend(ctx, pcr, digests, err);

	kernel_extend(other, 1);
	return rc;
}

/* It has counted many, and extends one after each extend of ours. */
static void kernel_between_any_two_of_ours(void **state)
{
	struct assay_anchor_ops ops;
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		fixture_init(&f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		kernel_init(&k, &f);
		k.two_pcrs = m & 2;
		kernel_measures(&k, 3);
		other = &k;
		alone = f.config.anchor.ops;
		ops = *alone;
		ops.extend = extend_and_kernel;
		f.config.anchor.ops = &ops;
		fixture_start(&f);
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
			kernel_counts(&k, 40);
			measure_files(&f, 7);
		}
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		fixture_stop(&f);
		kernel_extend(&k, UINT32_MAX);
		f.config.anchor.ops = alone;
		fixture_start(&f);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		fixture_stop(&f);
		assert_int_equal(assert_agrees(&f), 1);
		assert_all_there(&f, true);
		kernel_done(&k);
		fixture_done(&f);
	}
}

/* A kernel's list that does not lead to the PCR is not believed: the value is stated instead. */
static void list_that_explains_nothing_is_not_adopted(void **state)
{
	struct assay_pcr_value v = { { "somebody" } };
	struct fixture f;
	struct kernel k;

	fixture_init(&f, ANCHOR_GROUP);
	kernel_init(&k, &f);
	assay_fake_anchor_foreign(f.tpm, 10, &v);
	kernel_measures(&k, 3);
	for (unsigned run = 0; run < 2; run++) {
		fixture_start(&f);
		measure_files(&f, 10);
		fixture_stop(&f);
		kernel_measures(&k, 2); /* what comes later is taken over all the same */
	}
	fixture_start(&f);
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 1);
	assert_int_equal(count_event(&f, 1, "base"), 1);
	assert_int_equal(count_in_list(&f, 1, "kernel-2", 9), 0);
	assert_int_equal(count_in_list(&f, 1, "kernel-3", 9), 1);
	assert_int_equal(count_in_list(&f, 1, "kernel-6", 9), 1);
	kernel_done(&k);
	fixture_done(&f);
}

/* A booted kernel makes PCR 10 what it was when the list began: that is no resume. With the counts
 * of a TPM Reset, and of a Restart, as after a hibernation. */
static void the_same_kernel_boots_again(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		fixture_init(&f, m % 2 ? ANCHOR_GROUP : ANCHOR_EACH);
		kernel_init(&k, &f);
		kernel_measures(&k, 2);
		fixture_start(&f);
		measure_files(&f, 10);
		fixture_stop(&f);
		if (m < 2)
			assay_fake_anchor_reset(f.tpm);
		else
			assay_fake_anchor_restart(f.tpm);
		assert_int_equal(f.config.anchor.ops->reopen(f.config.anchor.ctx, NULL), 0);
		kernel_boots(&k, 1);
		for (unsigned runs = 0; runs < 2; runs++) {
			fixture_start(&f);
			measure_files(&f, 5);
			fixture_stop(&f);
		}
		assert_int_equal(assert_agrees(&f), 2);
		assert_int_equal(count_in_list(&f, 2, "start=reset;", 12), 1);
		assert_int_equal(count_in_list(&f, 2, "kernel-0", 9), 1);
		assert_all_there(&f, true);
		kernel_done(&k);
		fixture_done(&f);
	}
}

/* A new segment begins, and the kernel's list does not explain the PCRs: they are read again, which
 * a TPM can let take long. Nobody else waits for that meanwhile. */
static void nobody_waits_while_the_pcrs_are_read_again(void **state)
{
	struct assay_pcr_value v = { { "somebody" } };
	struct fixture f;
	struct kernel k;

	fixture_init(&f, ANCHOR_GROUP);
	kernel_init(&k, &f);
	kernel_measures(&k, 3);
	fixture_start(&f);
	measure_files(&f, 10);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	assay_fake_anchor_foreign(f.tpm, 10, &v);
	kernel_measures(&k, 1);
	/* Behind that of the check, and that of the decision. */
	assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_READ, ASSAY_FAKE_BLOCK, 2, 1);
	measure_files(&f, 1);
	assay_fake_anchor_await_blocked(f.tpm);
	alarm(20); /* instead of for ever */
	measure_files(&f, 1);
	alarm(0);
	assay_fake_anchor_release(f.tpm);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 2);
	assert_all_there(&f, false); /* what was not anchored stands in both */
	kernel_done(&k);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_begins_with_the_kernels),
		cmocka_unit_test(a_pcr_that_no_tpm_has),
		cmocka_unit_test(later_records_are_merged),
		cmocka_unit_test(the_same_kernel_boots_again),
		cmocka_unit_test(kernel_between_any_two_of_ours),
		cmocka_unit_test(list_that_explains_nothing_is_not_adopted),
		cmocka_unit_test(nobody_waits_while_the_pcrs_are_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
