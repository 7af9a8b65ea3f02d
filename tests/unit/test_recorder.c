/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/recorder_fixture.h"

#include <limits.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const enum anchor_mode modes[] = { ANCHOR_EACH, ANCHOR_GROUP, ANCHOR_ORDERED };

static void list_and_pcrs_agree(void **state)
{
	struct recorder_counts counts;
	struct fixture f;

	for (unsigned m = 0; m < 3; m++) {
		fixture_init(&f, modes[m]);
		fixture_start(&f);
		measure_files(&f, 200);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		recorder_counts(f.recorder, &counts);
		assert_int_equal(counts.violations, 28);
		assert_int_equal(counts.anchored, counts.records);
		fixture_stop(&f);
		assert_int_equal(assert_agrees(&f), 1);
		assert_all_there(&f, true);
		assert_int_equal(count_event(&f, 1, "start"), 1);
		assert_int_equal(count_event(&f, 1, "stop"), 1);
		fixture_done(&f);
	}
}

static void second_run_goes_on(void **state)
{
	struct fixture f;

	for (unsigned m = 0; m < 9; m++) {
		fixture_init(&f, modes[m % 3]);
		fixture_run(&f, 20);
		f.config.mode = modes[m / 3];
		fixture_run(&f, 20);
		assert_int_equal(assert_agrees(&f), 1);
		assert_all_there(&f, true);
		assert_int_equal(count_in_list(&f, 1, "last=stopped;", 13), 1);
		fixture_done(&f);
	}
}

static atomic_bool coming;

static bool more_coming(void *ctx)
{
	return atomic_load(&coming);
}

/* In place of the C library's: the clocks of this process go on when a test says so, too, and what
 * is said of a pause does not depend on what else the machine has to do. */
static atomic_ullong passed_s;

int clock_gettime(clockid_t id, struct timespec *ret)
{
	long rc = syscall(SYS_clock_gettime, id, ret);

	ret->tv_sec += (time_t)atomic_load(&passed_s);
	return (int)rc;
}

int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *lock, const struct timespec *at)
{
	struct timespec until = *at;

	until.tv_sec -= (time_t)atomic_load(&passed_s);
	return pthread_cond_clockwait(c, lock, CLOCK_MONOTONIC, &until);
}

#define PAUSE_S	 3600u
#define EXTEND_S 4000u
#define LONG_MS	 (30u * 24 * 3600 * 1000) /* many extends */

static const struct assay_anchor_ops *quick;

static int extend_for_long(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
			   struct assay_err *err)
{
	atomic_fetch_add(&passed_s, EXTEND_S);
	return quick->extend(ctx, pcr, digests, err);
}

/* A batch waits an hour for those who are on the way; each extend takes longer, if @slow. */
static void fixture_start_gathering(struct fixture *f, bool slow)
{
	static struct assay_anchor_ops ops;

	fixture_init(f, ANCHOR_GROUP);
	f->config.gather_us = PAUSE_S * 1000000u;
	f->config.more_coming = more_coming;
	atomic_store(&coming, false);
	quick = f->config.anchor.ops;
	ops = *quick;
	ops.extend = slow ? extend_for_long : quick->extend;
	f->config.anchor.ops = &ops;
	fixture_start(f);
}

/* @n files that nobody has measured before, in PCR 10. */
static void measure_plain(struct fixture *f, uint32_t n)
{
	struct assay_decision d;

	while (n--)
		assert_int_equal(measure_file(f, f->files++, 0, false, &d), 0);
}

/* Released together: as many are expected back. */
static void measure_in_one_batch(struct fixture *f, uint32_t n)
{
	struct recorder_counts before, after;

	assert_int_equal(recorder_flush(f->recorder, LONG_MS), 0);
	recorder_counts(f->recorder, &before);
	atomic_store(&coming, true);
	measure_plain(f, n);
	atomic_store(&coming, false);
	recorder_gathered(f->recorder);
	assert_int_equal(recorder_flush(f->recorder, LONG_MS), 0);
	recorder_counts(f->recorder, &after);
	assert_int_equal(after.batches - before.batches, 1);
}

static void a_pause_ends_when_all_have_come(void **state)
{
	struct fixture f;

	fixture_start_gathering(&f, false);
	measure_files(&f, 1);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	atomic_store(&coming, true);
	measure_files(&f, 1);
	assert_int_equal(recorder_flush(f.recorder, 20), -ETIMEDOUT);
	atomic_store(&coming, false);
	recorder_gathered(f.recorder);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 1);
	fixture_done(&f);
}

/* Or who waits for the TPM in slices would never see the end while others write. */
static void what_comes_later_is_not_waited_for(void **state)
{
	struct recorder_counts counts;
	struct fixture f;

	fixture_start_gathering(&f, false);
	measure_files(&f, 1);
	recorder_counts(f.recorder, &counts);
	assert_int_equal(recorder_await(f.recorder, counts.records, FLUSH_MS), 0);
	atomic_store(&coming, true);
	measure_files(&f, 1);
	assert_int_equal(recorder_await(f.recorder, counts.records, 20), 0);
	assert_int_equal(recorder_flush(f.recorder, 20), -ETIMEDOUT);
	fixture_stop(&f);
	fixture_done(&f);
}

static unsigned foreign_left; /* quotes behind which somebody else extends */

static int quote_and_foreign(void *ctx, const struct assay_quote_request *request,
			     struct assay_quote_reply *ret, struct assay_err *err)
{
	static const struct assay_pcr_value v = { { "somebody" } };
	int rc = quick->quote(ctx, request, ret, err);

	if (foreign_left > 0) {
		foreign_left--;
		assay_fake_anchor_foreign(ctx, 16, &v);
	}
	return rc;
}

/* Somebody may extend behind the quote, and before the values are read: then both are asked again,
 * a few times. */
static void a_quote_is_over_its_values(void **state)
{
	const struct assay_quote_request request = { .pcr_mask = 1u << 10 | 1u << 16 };
	struct assay_anchor_ops ops;
	struct recorder_quote q;
	struct fixture f;

	fixture_init(&f, ANCHOR_GROUP);
	quick = f.config.anchor.ops;
	ops = *quick;
	ops.quote = quote_and_foreign;
	f.config.anchor.ops = &ops;
	fixture_start(&f);
	for (unsigned n = 0; n < 4; n++) {
		foreign_left = n;
		measure_files(&f, 1);
		assert_int_equal(recorder_quote(f.recorder, &request, &q, NULL), 0);
		assert_int_equal(foreign_left, 0);
		assert_int_equal(q.banks.n, 2);
		assert_memory_equal(q.reply.attest, q.pcr[10].value[0], ASSAY_HASH_SIZE_MAX);
		assert_memory_equal(q.reply.attest + ASSAY_HASH_SIZE_MAX, q.pcr[16].value[0],
				    ASSAY_HASH_SIZE_MAX);
	}
	foreign_left = 1000;
	assert_int_equal(recorder_quote(f.recorder, &request, &q, NULL), -EAGAIN);
	assert_true(foreign_left > 900);
	fixture_stop(&f);
	f.config.anchor.ops = quick;
	fixture_done(&f);
}

static void an_end_waits_for_nobody(void **state)
{
	struct fixture f;

	fixture_start_gathering(&f, false);
	atomic_store(&coming, true);
	measure_files(&f, 1);
	assert_int_equal(recorder_flush(f.recorder, 20), -ETIMEDOUT);
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 1);
	fixture_done(&f);
}

/* Nobody is on the way, but an extend takes longer than the pause, and more were released than have
 * come back: who comes in the pause is in the batch. */
static void a_slow_tpm_is_worth_the_pause(void **state)
{
	struct recorder_counts before, after;
	struct fixture f;

	fixture_start_gathering(&f, true);
	measure_in_one_batch(&f, 500);
	recorder_counts(f.recorder, &before);
	measure_plain(&f, 200);
	while (recorder_flush(f.recorder, 20) == -ETIMEDOUT) {
		atomic_fetch_add(&passed_s, PAUSE_S);
		recorder_gathered(f.recorder);
	}
	recorder_counts(f.recorder, &after);
	assert_int_equal(after.batches - before.batches, 1);
	fixture_stop(&f);
	fixture_done(&f);
}

/* As many come as were released, and the pause ends before its time. */
static void who_was_released_is_waited_for(void **state)
{
	struct fixture f;

	fixture_start_gathering(&f, true);
	measure_in_one_batch(&f, 3);
	for (unsigned i = 0; i < 20; i++) {
		measure_plain(&f, 2);
		assert_int_equal(recorder_flush(f.recorder, 20), -ETIMEDOUT);
		measure_plain(&f, 1);
		assert_int_equal(recorder_flush(f.recorder, LONG_MS), 0);
	}
	fixture_stop(&f);
	fixture_done(&f);
}

static atomic_uint syncs, early; /* extends that came before the sync of what they cover */
static unsigned syncs_before;
static const struct assay_anchor_ops *plain;

int fdatasync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	return (int)syscall(SYS_fdatasync, fd);
}

static int extend_and_look(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
			   struct assay_err *err)
{
	if (atomic_load(&syncs) == syncs_before)
		atomic_fetch_add(&early, 1);
	return plain->extend(ctx, pcr, digests, err);
}

/* list_sync: what an extend covers is on the medium before it; or nobody waits for the medium. */
static void synced_before_the_extend_or_never(void **state)
{
	struct assay_anchor_ops ops;
	struct fixture f;

	for (unsigned m = 0; m < 2 * ARRAY_LEN(modes); m++) {
		bool never = m & 1;

		fixture_init(&f, modes[m / 2]);
		f.config.sync = never ? LIST_SYNC_NEVER : LIST_SYNC_BATCH;
		plain = f.config.anchor.ops;
		ops = *plain;
		ops.extend = extend_and_look;
		f.config.anchor.ops = &ops;
		fixture_start(&f);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		atomic_store(&early, 0);
		for (unsigned i = 0; i < 5; i++) {
			syncs_before = atomic_load(&syncs);
			measure_file(&f, i, 0, false, &(struct assay_decision){ 0 });
			assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
			assert_int_equal(atomic_load(&syncs) > syncs_before, !never);
		}
		assert_int_equal(atomic_load(&early) > 0, never);
		fixture_stop(&f);
		assert_int_equal(assert_agrees(&f), 1);
		fixture_done(&f);
	}
}

/* The TPM goes after @k extends and stays away until the next start. */
static void lost_at_every_extend(void **state)
{
	struct fixture f;

	for (unsigned m = 0; m < 3; m++) {
		for (uint32_t k = 0; k < 24; k++) {
			fixture_init(&f, modes[m]);
			assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_GONE, k, 1);
			fixture_start(&f);
			measure_files(&f, 10);
			(void)recorder_flush(f.recorder, 20);
			measure_files(&f, 10);
			fixture_stop(&f);
			assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_NONE, 0, 0);
			assay_fake_anchor_back(f.tpm);
			assert_int_equal(f.config.anchor.ops->reopen(f.config.anchor.ctx, NULL), 0);
			fixture_run(&f, 10);
			assert_int_equal(assert_agrees(&f), 1);
			assert_all_there(&f, true);
			fixture_done(&f);
		}
	}
}

/* In place of the C library's: the process ends instead of the write after these. */
static atomic_int writes_left = INT_MAX;

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	if (atomic_fetch_sub(&writes_left, 1) <= 0)
		_exit(9);
	return syscall(SYS_pwrite64, fd, data, len, at);
}

/* A run that ends within @writes of its start; true: it got through. */
static bool start_and_die(struct fixture *f, int writes)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		atomic_store(&writes_left, writes);
		_exit(recorder_start(&f->config, &f->recorder, NULL) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
	return WEXITSTATUS(status) == 0;
}

/* Whatever of a segment was written: the next run goes on with one whose entries say what it is, or
 * begins it. */
static void killed_while_a_segment_begins(void **state)
{
	struct fixture f;
	int writes = 0;
	bool through;

	do {
		fixture_init(&f, ANCHOR_GROUP);
		for (unsigned segment = 1; segment <= 3; segment++) {
			through = start_and_die(&f, writes);
			fixture_run(&f, 10);
			assert_int_equal(assert_agrees(&f), segment);
			assert_int_equal(count_event(&f, segment, "segment"), 1);
			assert_int_equal(count_in_list(&f, segment, "boot_aggregate", 14), 1);
			assay_fake_anchor_reset(f.tpm);
			f.config.anchor.ops->reopen(f.config.anchor.ctx, NULL);
		}
		fixture_done(&f);
	} while (writes++ < 3 || !through);
	assert_in_range(writes, 5, 30);
}

static atomic_uint reads;
static const struct assay_anchor_ops *counted;

static int read_counted(void *ctx, uint32_t mask, struct assay_pcr_value values[ASSAY_PCRS],
			struct assay_tpm_clock *clock, struct assay_err *err)
{
	atomic_fetch_add(&reads, 1);
	return counted->read(ctx, mask, values, clock, err);
}

/* They are looked at when something may have happened, not between any two extends: the machine has
 * not slept, whatever the order in which its clocks are read. */
static void pcrs_are_not_read_each_time(void **state)
{
	struct assay_anchor_ops ops;
	struct fixture f;
	unsigned before;

	fixture_init(&f, ANCHOR_EACH);
	counted = f.config.anchor.ops;
	ops = *counted;
	ops.read = read_counted;
	f.config.anchor.ops = &ops;
	fixture_start(&f);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	before = atomic_load(&reads);
	for (unsigned i = 0; i < 50; i++) {
		measure_files(&f, 1);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	}
	assert_int_equal(atomic_load(&reads), before);
	fixture_stop(&f);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_and_pcrs_agree),
		cmocka_unit_test(second_run_goes_on),
		cmocka_unit_test(a_pause_ends_when_all_have_come),
		cmocka_unit_test(what_comes_later_is_not_waited_for),
		cmocka_unit_test(a_quote_is_over_its_values),
		cmocka_unit_test(an_end_waits_for_nobody),
		cmocka_unit_test(a_slow_tpm_is_worth_the_pause),
		cmocka_unit_test(who_was_released_is_waited_for),
		cmocka_unit_test(lost_at_every_extend),
		cmocka_unit_test(killed_while_a_segment_begins),
		cmocka_unit_test(pcrs_are_not_read_each_time),
		cmocka_unit_test(synced_before_the_extend_or_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
