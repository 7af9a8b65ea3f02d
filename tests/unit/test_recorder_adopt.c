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
		kernel_init(&k, &f, m % 2 ? ANCHOR_GROUP : ANCHOR_EACH);
		k.pads = m >= 2;
		kernel_measures(&k, 7);
		for (unsigned run = 0; run < 3; run++)
			fixture_run(&f, 10);
		assert_begins_with(&k);
		assert_int_equal(assert_agrees(&f), 1);
		assert_int_equal(count_event(&f, 1, "base"), 0);
		assert_int_equal(count_in_list(&f, 1, "boot_aggregate", 14), 0);
		assert_int_equal(count_in_list(&f, 1, "kernel_total=7;", 15), 1);
		assert_all_there(&f, true);
		kernel_done(&k);
	}
}

/* What a TPM cannot have extended: the list is not taken over, and we begin where the PCRs are. */
static void a_pcr_that_no_tpm_has(void **state)
{
	struct fixture f;
	struct kernel k;
	size_t len;

	kernel_init(&k, &f, ANCHOR_GROUP);
	kernel_measures(&k, 1);
	len = k.len;
	memcpy(k.list + len, k.list, len);
	k.list[len] = 40;
	k.len = 2 * len;
	kernel_publish(&k);
	fixture_run(&f, 10);
	assert_int_equal(assert_agrees(&f), 1);
	assert_int_equal(count_event(&f, 1, "base"), 1);
	kernel_done(&k);
}

/* The kernel measures on, while we are away and while we run. */
static void later_records_are_merged(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 8; m++) {
		unsigned many = m < 4 ? 2 : 150;

		kernel_init(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		k.pads = m & 2;
		k.two_pcrs = m >= 4;
		kernel_measures(&k, 3);
		fixture_run(&f, 10);
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
	}
}

static struct kernel *other;
static const struct assay_anchor_ops *alone;

typedef int extend_fn(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
		      struct assay_err *err);
typedef int read_fn(void *ctx, uint32_t pcrs, struct assay_pcr_value values[ASSAY_PCRS],
		    struct assay_tpm_clock *clock, struct assay_err *err);

/* From its next start on the recorder extends by @extend, and reads by @read; NULL: as the TPM,
 * which is @alone, does it. */
static void come_between(struct kernel *k, extend_fn *extend, read_fn *read)
{
	static struct assay_anchor_ops ops;

	other = k;
	alone = k->f->config.anchor.ops;
	ops = *alone;
	if (extend)
		ops.extend = extend;
	if (read)
		ops.read = read;
	k->f->config.anchor.ops = &ops;
}

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
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		kernel_init(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		k.two_pcrs = m & 2;
		kernel_measures(&k, 3);
		come_between(&k, extend_and_kernel, NULL);
		fixture_start(&f);
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
			kernel_counts(&k, TRIES(40));
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
	}
}

static unsigned to_come; /* records that it will still count, as it goes */

static void kernel_goes_on(unsigned counts, unsigned extends)
{
	for (; counts > 0 && to_come > 0; counts--, to_come--)
		kernel_counts(other, 1);
	kernel_extend(other, extends);
}

static int extend_amid(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
		       struct assay_err *err)
{
	int rc;

	kernel_goes_on(2, 1);
	rc = alone->extend(ctx, pcr, digests, err);
	kernel_goes_on(2, 3);
	return rc;
}

static int read_amid(void *ctx, uint32_t pcrs, struct assay_pcr_value values[ASSAY_PCRS],
		     struct assay_tpm_clock *clock, struct assay_err *err)
{
	int rc = alone->read(ctx, pcrs, values, clock, err);

	kernel_goes_on(1, 1);
	return rc;
}

/* It extends faster than we do, before each step of ours and behind it, in one PCR or two; counts
 * all before, or on whenever we look. We go on, and what that adds to the list does not push what
 * waits out of the few last steps of a replay. */
static void kernel_faster_than_we(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 8; m++) {
		kernel_init(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		k.two_pcrs = m & 2;
		kernel_measures(&k, 3);
		come_between(&k, extend_amid, read_amid);
		to_come = 0;
		fixture_start(&f);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		if (m & 4)
			to_come = TRIES(400);
		else
			kernel_counts(&k, TRIES(400));
		measure_files(&f, 10);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		fixture_stop(&f);
		f.config.anchor.ops = alone;
		kernel_extend(&k, UINT32_MAX);
		fixture_run(&f, 0); /* a stop does not wait for the kernel's end */
		assert_int_equal(assert_agrees(&f), 1);
		assert_all_there(&f, true);
		kernel_done(&k);
	}
}

/* What it extends before and behind each step of ours, from the second on. Its records go to PCR 10
 * and 11 by turns: that which is alone goes to 11. */
static const unsigned by_turns[][2] = { { 1, 1 }, { 1, 0 }, { 0, 1 }, { 1, 1 },
					{ 1, 1 }, { 1, 1 }, { 1, 1 } };
static unsigned turn;
static bool turns;

static int extend_by_turns(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
			   struct assay_err *err)
{
	const unsigned *n = turns && turn < ARRAY_LEN(by_turns) ? by_turns[turn++] : NULL;
	int rc;

	if (n)
		kernel_measures(other, n[0]);
	rc = alone->extend(ctx, pcr, digests, err);
	if (n)
		kernel_measures(other, n[1]);
	return rc;
}

/* A record of one PCR stands behind our last extend, and none of ours waits in that PCR, or one far
 * behind: it does not keep the next ones of the other PCR from their place. */
static void kernel_in_a_pcr_that_we_leave_alone(void **state)
{
	struct assay_decision d;
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		kernel_init(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		k.two_pcrs = true;
		kernel_measures(&k, 4);
		come_between(&k, extend_by_turns, NULL);
		turn = 0;
		turns = false;
		fixture_start(&f);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_BLOCK, 0, 1);
		assert_int_equal(measure_file(&f, 0, 0, false, &d), 0);
		assay_fake_anchor_await_blocked(f.tpm);
		for (uint32_t i = 1; i < 12; i++)
			assert_int_equal(measure_file(&f, i, m & 2 && i == 11 ? 11 : 0, false, &d),
					 0);
		turns = true;
		assay_fake_anchor_release(f.tpm);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		fixture_stop(&f);
		f.config.anchor.ops = alone;
		fixture_run(&f, 0);
		assert_int_equal(assert_agrees(&f), 1);
		kernel_done(&k);
	}
}

/* @n entries are written and not extended: the TPM is gone, and assayd was told to go on. */
static void leave_unextended(struct fixture *f, unsigned n)
{
	struct recorder_counts counts;

	assay_fake_anchor_fault(f->tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_GONE, 0, 1);
	measure_files(f, 1);
	do {
		usleep(1000);
		recorder_counts(f->recorder, &counts);
	} while (!counts.tpm_lost);
	measure_files(f, n - 1);
	fixture_stop(f);
	assay_fake_anchor_back(f->tpm);
	assert_int_equal(f->config.anchor.ops->reopen(f->config.anchor.ctx, NULL), 0);
}

/* The kernel extends while about as much of ours waits as a replay can go back over. That fits, or
 * the segment breaks: no list comes of it that does not replay. */
static void as_far_back_as_a_replay_reaches(void **state)
{
	bool fits = false, breaks = false;
	struct fixture f;
	struct kernel k;

	for (unsigned n = ASSAY_TAIL_MAX - 12; n < ASSAY_TAIL_MAX; n++) {
		kernel_init(&k, &f, ANCHOR_EACH);
		f.config.on_tpm_loss = ON_STALL_RELEASE;
		kernel_measures(&k, 3);
		fixture_run(&f, 3);
		fixture_start(&f);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		leave_unextended(&f, n);
		kernel_measures(&k, 3);
		fixture_run(&f, 3);
		if (assert_agrees(&f) == 1)
			fits = true;
		else
			breaks = true;
		assert_all_there(&f, false);
		kernel_done(&k);
	}
	assert_true(fits && breaks);
}

static int read_and_kernel(void *ctx, uint32_t pcrs, struct assay_pcr_value values[ASSAY_PCRS],
			   struct assay_tpm_clock *clock, struct assay_err *err)
{
	int rc;

	if (pcrs == (1u << ASSAY_PCRS) - 1)
		return -EAGAIN;
	rc = alone->read(ctx, pcrs, values, clock, err);
	if ((pcrs & (pcrs - 1)) == 0)
		kernel_extend(other, 1);
	return rc;
}

/* It extends two PCRs by turns, faster than all can be read at once: at a start, of a list that is
 * there or of a new one, those two are read at one moment all the same. */
static void kernel_busy_in_two_pcrs_at_a_start(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		kernel_init(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		k.two_pcrs = true;
		kernel_measures(&k, 3);
		if (m & 2)
			fixture_run(&f, 10);
		come_between(&k, NULL, read_and_kernel);
		kernel_counts(&k, 60);
		fixture_start(&f);
		f.config.anchor.ops = alone;
		fixture_stop(&f);
		kernel_extend(&k, UINT32_MAX);
		fixture_run(&f, 10);
		assert_int_equal(assert_agrees(&f), 1);
		assert_int_equal(count_event(&f, 1, "base"), 0);
		kernel_done(&k);
	}
}

/* A kernel's list that does not lead to the PCR is not believed: the value is stated instead. */
static void list_that_explains_nothing_is_not_adopted(void **state)
{
	struct assay_pcr_value v = { { "somebody" } };
	struct fixture f;
	struct kernel k;

	kernel_init(&k, &f, ANCHOR_GROUP);
	assay_fake_anchor_foreign(f.tpm, 10, &v);
	kernel_measures(&k, 3);
	for (unsigned run = 0; run < 2; run++) {
		fixture_run(&f, 10);
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
}

/* A booted kernel makes PCR 10 what it was when the list began: that is no resume. With the counts
 * of a TPM Reset, and of a Restart, as after a hibernation. */
static void the_same_kernel_boots_again(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		kernel_init(&k, &f, m % 2 ? ANCHOR_GROUP : ANCHOR_EACH);
		kernel_measures(&k, 2);
		fixture_run(&f, 10);
		if (m < 2)
			assay_fake_anchor_reset(f.tpm);
		else
			assay_fake_anchor_restart(f.tpm);
		assert_int_equal(f.config.anchor.ops->reopen(f.config.anchor.ctx, NULL), 0);
		kernel_boots(&k, 1);
		for (unsigned runs = 0; runs < 2; runs++)
			fixture_run(&f, 5);
		assert_int_equal(assert_agrees(&f), 2);
		assert_int_equal(count_in_list(&f, 2, "start=reset;", 12), 1);
		assert_int_equal(count_in_list(&f, 2, "kernel-0", 9), 1);
		assert_all_there(&f, true);
		kernel_done(&k);
	}
}

/* A new segment begins, and the kernel's list does not explain the PCRs: they are read again, which
 * a TPM can let take long. Nobody else waits for that meanwhile. */
static void nobody_waits_while_the_pcrs_are_read_again(void **state)
{
	struct assay_pcr_value v = { { "somebody" } };
	struct fixture f;
	struct kernel k;

	kernel_init(&k, &f, ANCHOR_GROUP);
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
	alarm(120); /* instead of for ever */
	measure_files(&f, 1);
	alarm(0);
	assay_fake_anchor_release(f.tpm);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 2);
	assert_all_there(&f, false); /* what was not anchored stands in both */
	kernel_done(&k);
}

/* ---- a run that is killed between the kernel's records and its word that they are */

/* Ends the run as a SIGKILL would have, right behind the last record that has @name: what was
 * written later is not there, and was not extended. */
static void kill_behind(struct fixture *f, const char *name)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_record record;
	struct segment_file s;
	uint64_t cut = 0;
	struct assay_rd in;
	int fd;

	fixture_stop(f);
	assay_fake_anchor_back(f->tpm);
	assert_int_equal(f->config.anchor.ops->reopen(f->config.anchor.ctx, NULL), 0);
	assert_true(load_segment(f, 1, &s));
	for (in = assay_rd(s.records); !assay_rd_end(&in);) {
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		if (memmem(record.data.data, record.data.len, name, strlen(name) + 1))
			cut = assay_rd_offset(&in);
	}
	assay_file_free(&s.file);
	assert_true(cut > 0);
	fd = openat(f->dirfd, "segment-00000001", O_RDWR);
	assert_int_equal(pwrite(fd, &cut, sizeof(cut), ASSAY_SEGMENT_COMMIT), sizeof(cut));
	close(fd);
}

/* Everything goes on, with more records of the kernel's: in one segment, each of them in it once.
 */
static void assert_goes_on(struct kernel *k)
{
	struct fixture *f = k->f;

	for (unsigned run = 0; run < 2; run++) {
		fixture_start(f);
		measure_files(f, 3);
		assert_int_equal(recorder_flush(f->recorder, FLUSH_MS), 0);
		kernel_measures(k, 1);
		measure_files(f, 3);
		assert_int_equal(recorder_flush(f->recorder, FLUSH_MS), 0);
		fixture_stop(f);
	}
	assert_int_equal(assert_agrees(f), 1);
	assert_all_there(f, false);
}

/* Behind the first, or the last, of two that were taken over for somebody who asked for the PCRs.
 * The kernel may measure on before the next start. */
static void killed_before_it_says_adopted(void **state)
{
	struct assay_pcr_value values[ASSAY_PCRS];
	struct assay_tpm_clock clock;
	struct assay_banks banks;
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		kernel_init(&k, &f, ANCHOR_EACH);
		kernel_measures(&k, 3);
		fixture_start(&f);
		measure_files(&f, 3);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		kernel_measures(&k, 2);
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_GONE, 0, 1);
		assert_int_equal(recorder_read_pcrs(f.recorder, 1u << 10, values, &banks, &clock,
						    NULL),
				 0);
		kill_behind(&f, m & 2 ? "kernel-3" : "kernel-4");
		if (m & 1)
			kernel_measures(&k, 2);
		assert_goes_on(&k);
		for (unsigned i = 0; i < assay_core_records(k.core); i++) {
			char name[32];
			size_t len = assay_fmt(name, sizeof(name), "kernel-%u", i) + 1;

			assert_int_equal(count_in_list(&f, 1, name, len), 1);
		}
		kernel_done(&k);
	}
}

/* The kernel measures the record that has @name in our list too, byte for byte. */
static void kernel_measures_the_same(struct kernel *k, const char *name)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_record record;
	struct segment_file s;
	struct assay_rd in;

	assert_true(load_segment(k->f, 1, &s));
	for (in = assay_rd(s.records); !assay_rd_end(&in);) {
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		if (memmem(record.data.data, record.data.len, name, strlen(name) + 1))
			assert_int_equal(assay_core_adopt(k->core, &record, true, NULL), 0);
	}
	assay_file_free(&s.file);
	kernel_publish(k);
	kernel_extend(k, UINT32_MAX);
}

/* The last record is ours, and the kernel's next one is the same: the PCRs tell. */
static void killed_behind_a_record_that_the_kernel_makes_too(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 3; m++) {
		kernel_init(&k, &f, ANCHOR_EACH);
		kernel_measures(&k, 3);
		fixture_start(&f);
		measure_files(&f, 3);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_GONE, 0, 1);
		kill_behind(&f, "/file/2");
		kernel_measures_the_same(&k, "/file/2");
		if (m == 1)
			kernel_measures(&k, 1);
		if (m == 2)
			f.config.mode = ANCHOR_GROUP;
		assert_goes_on(&k);
		kernel_done(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_begins_with_the_kernels),
		cmocka_unit_test(a_pcr_that_no_tpm_has),
		cmocka_unit_test(later_records_are_merged),
		cmocka_unit_test(the_same_kernel_boots_again),
		cmocka_unit_test(kernel_between_any_two_of_ours),
		cmocka_unit_test(kernel_faster_than_we),
		cmocka_unit_test(kernel_in_a_pcr_that_we_leave_alone),
		cmocka_unit_test(as_far_back_as_a_replay_reaches),
		cmocka_unit_test(kernel_busy_in_two_pcrs_at_a_start),
		cmocka_unit_test(list_that_explains_nothing_is_not_adopted),
		cmocka_unit_test(nobody_waits_while_the_pcrs_are_read_again),
		cmocka_unit_test(killed_before_it_says_adopted),
		cmocka_unit_test(killed_behind_a_record_that_the_kernel_makes_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
