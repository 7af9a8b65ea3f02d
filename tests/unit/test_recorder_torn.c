/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the recorder has begun when something fails in the middle: nothing else may come of it. */
#include "unit/kernel_fixture.h"

#include <stdatomic.h>
#include <sys/syscall.h>

/* The kernel's records that can be written, and then those that cannot; none: all can. */
static atomic_int good, bad;

/* In place of the C library's. */
ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	if (atomic_load(&bad) > 0 && memmem(data, len, "kernel-", 7) &&
	    atomic_fetch_sub(&good, 1) <= 0) {
		atomic_fetch_sub(&bad, 1);
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, len, at);
}

static void end(struct kernel *k)
{
	fixture_run(k->f, 3);
	assert_int_equal(assert_agrees(k->f), 1);
	assert_all_there(k->f, true);
	for (unsigned i = 0; i < assay_core_records(k->core); i++) {
		char name[32];
		size_t len = assay_fmt(name, sizeof(name), "kernel-%u", i) + 1;

		if (count_in_list(k->f, 1, name, len) != 1)
			fail_msg("%s is there %u times", name, count_in_list(k->f, 1, name, len));
	}
	kernel_done(k);
}

static void *write_more(void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(recorder_state(f->recorder, "more", NULL, NULL, false, NULL, NULL), 0);
	measure_files(f, 2);
	return NULL;
}

static pthread_t thread;
static bool writes;

/* Others write before the place is found again; if they are slower than this nothing is shown. */
static void on_failure(void *ctx, int priority, const char *text)
{
	on_log(ctx, priority, text);
	if (!strstr(text, "cannot go on") || writes)
		return;
	writes = true;
	assert_int_equal(pthread_create(&thread, NULL, write_more, ctx), 0);
	usleep(50000);
}

static void ask(struct fixture *f)
{
	struct assay_pcr_value values[ASSAY_PCRS];
	struct assay_tpm_clock clock;
	struct assay_banks banks;

	(void)recorder_read_pcrs(f->recorder, 1u << 10, values, &banks, &clock, NULL);
}

/* A record of the kernel's cannot be written, behind the one that announces it or behind others.
 * What others write next is not taken for it. */
static void records_of_the_kernels_that_cannot_be_written(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 2 * 2 * 3; m++) {
		bool asked = m & 2;

		kernel_init(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		f.config.stop_ms = FLUSH_MS;
		f.config.log = on_failure;
		kernel_measures(&k, 2);
		fixture_start(&f);
		measure_files(&f, 3);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		kernel_measures(&k, 3);
		atomic_store(&good, (int)m / 4);
		atomic_store(&bad, 1);
		if (asked) {
			ask(&f);
			measure_files(&f, 5);
		} else {
			(void)recorder_state(f.recorder, "late", NULL, NULL, false, NULL, NULL);
		}
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		assert_int_equal(atomic_load(&bad), 0);
		if (writes)
			pthread_join(thread, NULL);
		writes = false;
		fixture_stop(&f);
		end(&k);
	}
}

/* For as long as they cannot be written nothing else is. */
static void nothing_else_is_written_meanwhile(void **state)
{
	struct recorder_counts counts;
	struct assay_decision d;
	struct fixture f;
	struct kernel k;

	kernel_init(&k, &f, ANCHOR_GROUP);
	f.config.stop_ms = FLUSH_MS;
	kernel_measures(&k, 2);
	fixture_start(&f);
	measure_files(&f, 3);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	kernel_measures(&k, 3);
	atomic_store(&good, 1);
	atomic_store(&bad, INT32_MAX);
	ask(&f);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(measure_file(&f, 1000, 0, false, &d), -EIO);
	recorder_counts(f.recorder, &counts);
	assert_int_equal(counts.lost_events, 3);
	atomic_store(&bad, 0);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	measure_files(&f, 3);
	fixture_stop(&f);
	assert_int_equal(count_in_list(&f, 1, "event=list-resumed;lost=3;", 26), 1);
	end(&k);
}

/* ---- a segment breaks: what goes with it */

static struct kernel *other;
static const struct assay_anchor_ops *alone;
static int left; /* extends that are to come before the last that goes wrong */

/* A run in which @extend stands before the TPM. */
static void begin(struct kernel *k,
		  int (*extend)(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
				struct assay_err *err),
		  struct assay_anchor_ops *ops)
{
	other = k;
	alone = k->f->config.anchor.ops;
	*ops = *alone;
	ops->extend = extend;
	k->f->config.anchor.ops = ops;
	left = 0;
	fixture_start(k->f);
	assert_int_equal(recorder_flush(k->f->recorder, FLUSH_MS), 0);
}

static void foreign_extend(struct fixture *f)
{
	static const struct assay_pcr_value foreign = { .value = { { 1 }, { 2 } } };

	assay_fake_anchor_foreign(f->tpm, 10, &foreign);
}

static int extend_and_break(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
			    struct assay_err *err)
{
	if (left == 1) {
		left = 0;
		foreign_extend(other->f);
		return assay_err_set(err, -ETIMEDOUT, "no answer");
	}
	if (left == 2) {
		left = 1;
		kernel_measures(other, 2);
	}
	return alone->extend(ctx, pcr, digests, err);
}

/* The kernel's, announced where ours waits, are not ours to extend in the new segment: it begins
 * with what they led to. */
static void the_kernels_stay_behind(void **state)
{
	struct assay_anchor_ops ops;
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 2; m++) {
		kernel_init(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		kernel_measures(&k, 2);
		begin(&k, extend_and_break, &ops);
		left = 2;
		for (unsigned i = 0; i < 3; i++) {
			measure_files(&f, 3);
			assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		}
		fixture_stop(&f);
		assert_int_equal(f.n_segments, 1);
		assert_int_equal(assert_agrees(&f), 2);
		assert_all_there(&f, false);
		for (unsigned i = 2; i < 4; i++) {
			char name[32];
			size_t len = assay_fmt(name, sizeof(name), "kernel-%u", i) + 1;

			assert_int_equal(count_in_list(&f, 1, name, len), 1);
			assert_int_equal(count_in_list(&f, 2, name, len), 0);
		}
		kernel_done(&k);
	}
}

static int extend_and_break_again(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
				  struct assay_err *err)
{
	if (left == 0)
		return alone->extend(ctx, pcr, digests, err);
	left--;
	foreign_extend(other->f);
	return assay_err_set(err, -ETIMEDOUT, "no answer");
}

/* A segment breaks before anything of it was extended: what it began with goes into no other. */
static void what_a_segment_begins_with_is_its_own(void **state)
{
	static const char *const once[] = { ";event=base;", ";event=segment;", ";event=policy;",
					    "boot_aggregate" };
	struct assay_anchor_ops ops;
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		kernel_init(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		if (m < 2)
			kernel_measures(&k, 2);
		begin(&k, extend_and_break_again, &ops);
		left = 2;
		measure_files(&f, 3);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		fixture_stop(&f);
		assert_int_equal(assert_agrees(&f), 3);
		assert_all_there(&f, false);
		for (unsigned i = 0; i < ARRAY_LEN(once); i++)
			assert_int_equal(count_in_list(&f, 3, once[i], strlen(once[i])), 1);
		kernel_done(&k);
	}
}

/* ---- between two steps */

static struct recorder *running;
static atomic_bool extends;

static int extend_among_others(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
			       struct assay_err *err)
{
	struct fixture fixture = *other->f;

	if (left > 0 && --left == 0) {
		atomic_store(&extends, true);
		usleep(50000); /* until somebody asks; if he is slower nothing is shown */
		kernel_measures(other, 2);
		atomic_store(&bad, 1);
		fixture.recorder = running;
		measure_files(&fixture, 1);
		other->f->files = fixture.files;
	}
	return alone->extend(ctx, pcr, digests, err);
}

/* Mode "each" has no batch record that would find out: what is written next is extended, and not
 * taken for the kernel's. */
static void asked_where_steps_wait(void **state)
{
	struct assay_anchor_ops ops;
	struct fixture f;
	struct kernel k;

	kernel_init(&k, &f, ANCHOR_EACH);
	f.config.stop_ms = FLUSH_MS;
	kernel_measures(&k, 2);
	begin(&k, extend_among_others, &ops);
	atomic_store(&good, 1);
	running = f.recorder;
	left = 1;
	measure_files(&f, 1);
	while (!atomic_load(&extends))
		usleep(1000);
	ask(&f);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	atomic_store(&bad, 0);
	measure_files(&f, 3);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	fixture_stop(&f);
	f.config.anchor.ops = alone;
	end(&k);
}

/* ---- no segment can be begun in place of one that broke, and the end comes */

static struct assay_decision waiting;

static int extend_while_it_ends(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
				struct assay_err *err)
{
	struct fixture fixture = *other->f;

	if (left > 0 && --left == 0) {
		usleep(100000); /* until nobody waits for a flush any more */
		fixture.recorder = running;
		assert_int_equal(measure_file(&fixture, 1000, 0, false, &waiting), 0);
		foreign_extend(other->f);
		assert_int_equal(mkdirat(other->f->dirfd, "segment.new", 0700), 0);
	}
	return alone->extend(ctx, pcr, digests, err);
}

/* What waits is not said to be in the TPM: the check at the end found that it is not known where
 * the list stands, and could do nothing about it. */
static void what_waits_when_no_segment_can_be_begun(void **state)
{
	struct assay_anchor_ops ops;
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 2; m++) {
		kernel_init(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		f.config.check_ms = 20; /* if the end comes late the next round looks */
		kernel_measures(&k, 2);
		begin(&k, extend_while_it_ends, &ops);
		running = f.recorder;
		left = 1;
		measure_files(&f, 1);
		fixture_stop(&f);
		assert_int_equal(unlinkat(f.dirfd, "segment.new", AT_REMOVEDIR), 0);
		f.config.anchor.ops = alone;
		assert_true(f.upto <= waiting.wait_for);
		fixture_run(&f, 3);
		assert_int_equal(assert_agrees(&f), 2);
		kernel_done(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_of_the_kernels_that_cannot_be_written),
		cmocka_unit_test(nothing_else_is_written_meanwhile),
		cmocka_unit_test(asked_where_steps_wait),
		cmocka_unit_test(the_kernels_stay_behind),
		cmocka_unit_test(what_a_segment_begins_with_is_its_own),
		cmocka_unit_test(what_waits_when_no_segment_can_be_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
