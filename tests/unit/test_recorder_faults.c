/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes wrong with TPM, list and machine: each time list and PCRs agree afterwards, nothing is
 * lost, nothing is extended twice. */
#include "unit/recorder_fixture.h"

#include <signal.h>
#include <sys/resource.h>

static const enum anchor_mode modes[] = { ANCHOR_EACH, ANCHOR_GROUP, ANCHOR_ORDERED };

/* As another process finds the TPM. */
static int fake_reopen(struct fixture *f)
{
	struct assay_anchor port = assay_fake_anchor_port(f->tpm);

	return port.ops->reopen(port.ctx, NULL);
}

/* One fault at each of the first extends, in each mode: the recorder finds its place and goes on.
 */
static void fault_at_every_extend(void **state)
{
	static const enum assay_fake_fault faults[] = {
		ASSAY_FAKE_TIMEOUT_BEFORE, ASSAY_FAKE_TIMEOUT_AFTER, ASSAY_FAKE_TIMEOUT_LATE,
		ASSAY_FAKE_IO_BEFORE,	   ASSAY_FAKE_IO_AFTER,	     ASSAY_FAKE_AGAIN,
		ASSAY_FAKE_LOCKOUT,
	};
	struct fixture f;

	for (unsigned i = 0; i < 3 * ARRAY_LEN(faults); i++) {
		for (uint32_t k = 0; k < 12; k += 1 + k / 4) {
			fixture_init(&f, modes[i % 3]);
			f.config.stop_ms = FLUSH_MS;
			fixture_start(&f);
			assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
			assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, faults[i / 3], k, 1);
			for (unsigned round = 0; round < 4; round++) {
				measure_files(&f, 5);
				assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
			}
			fixture_stop(&f);
			/* What ran out of time at the end itself is looked into at the next start.
			 */
			assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_NONE, 0, 0);
			assert_int_equal(fake_reopen(&f), 0);
			fixture_start(&f);
			fixture_stop(&f);
			assert_int_equal(assert_agrees(&f), 1);
			assert_all_there(&f, true);
			fixture_done(&f);
		}
	}
}

/* Two unknown outcomes in a row, the second while the first is looked into. */
static void faults_pile_up(void **state)
{
	struct fixture f;

	fixture_init(&f, ANCHOR_GROUP);
	f.config.stop_ms = FLUSH_MS;
	fixture_start(&f);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_TIMEOUT_AFTER, 1, 3);
	assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_READ, ASSAY_FAKE_TIMEOUT_BEFORE, 0, 2);
	for (unsigned round = 0; round < 4; round++) {
		measure_files(&f, 5);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	}
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 1);
	assert_all_there(&f, true);
	fixture_done(&f);
}

static void foreign_extend(struct fixture *f)
{
	struct assay_pcr_value v = { { "somebody else's" } };

	assay_fake_anchor_foreign(f->tpm, 10, &v);
}

/* Found when the daemon starts. */
static void foreign_extend_between_runs(void **state)
{
	struct fixture f;

	for (unsigned m = 0; m < 3; m++) {
		fixture_init(&f, modes[m]);
		fixture_run(&f, 10);
		foreign_extend(&f);
		fixture_run(&f, 10);
		assert_int_equal(assert_agrees(&f), 2);
		assert_all_there(&f, true);
		assert_int_equal(count_in_list(&f, 2, "start=broken;", 13), 1);
		assert_int_equal(count_event(&f, 2, "base"), 1);
		fixture_done(&f);
	}
}

/* Found by the look at the PCRs that is due from time to time, or by the one at the end. */
static void foreign_extend_in_a_run(void **state)
{
	struct assay_decision d;
	struct fixture f;

	for (unsigned m = 0; m < 6; m++) {
		fixture_init(&f, modes[m % 3]);
		f.config.check_ms = m < 3 ? 1 : 0;
		fixture_start(&f);
		measure_files(&f, 10);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		foreign_extend(&f);
		usleep(m < 3 ? 2000 : 0);
		measure_files(&f, 10);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		if (m < 3) { /* what was measured in the broken segment must be measured again */
			assert_int_equal(measure_file(&f, 0, 0, false, &d), 0);
			assert_int_equal(d.n_new, 1);
		}
		fixture_stop(&f);
		assert_int_equal(assert_agrees(&f), 2);
		assert_all_there(&f, false);
		assert_int_equal(f.n_segments, 1);
		fixture_done(&f);
	}
}

/* Those who wait while the segment breaks under them are released when their record, which has
 * gone to the new one, is in the TPM. */
static void waiters_cross_segments(void **state)
{
	struct assay_decision d;
	struct fixture f;
	unsigned last;

	fixture_init(&f, ANCHOR_GROUP);
	fixture_start(&f);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_BLOCK, 0, 1);
	measure_files(&f, 3);
	assay_fake_anchor_await_blocked(f.tpm);
	assert_int_equal(measure_file(&f, 1000, 0, false, &d), 0);
	assert_false(is_anchored(&f, d.wait_for));
	assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_TIMEOUT_BEFORE, 0, 1);
	foreign_extend(
		&f); /* before the one that is held up: that it broke is seen after the next */
	assay_fake_anchor_release(f.tpm);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	assert_true(is_anchored(&f, d.wait_for));
	fixture_stop(&f);
	last = assert_agrees(&f);
	assert_true(last >= 2);
	assert_int_equal(count_in_list(&f, last, "/file/1000", 11), 1);
	assert_int_equal(count_event(&f, last, "policy"), 1);
	assert_all_there(&f, false);
	fixture_done(&f);
}

static void machine_restarts(void **state)
{
	static void (*const what[])(struct assay_fake_anchor * f) = { assay_fake_anchor_reset,
								      assay_fake_anchor_restart,
								      assay_fake_anchor_resume };
	struct fixture f;

	for (unsigned i = 0; i < 18; i++) {
		bool in_run = i >= 9, resume = i % 3 == 2;

		fixture_init(&f, modes[i / 3 % 3]);
		fixture_start(&f);
		measure_files(&f, 10);
		if (in_run)
			assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		else
			fixture_stop(&f);
		what[i % 3](f.tpm);
		if (!in_run) {
			assert_int_equal(f.config.anchor.ops->reopen(f.config.anchor.ctx, NULL), 0);
			fixture_start(&f);
		}
		f.config.stop_ms = FLUSH_MS;
		measure_files(&f, 10);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		fixture_stop(&f);
		assert_int_equal(assert_agrees(&f), resume ? 1 : 2);
		assert_int_equal(count_in_list(&f, 2, "start=reset;", 12), resume ? 0 : 1);
		assert_all_there(&f, resume || !in_run);
		fixture_done(&f);
	}
}

/* The last record of the list is gone, and was extended: the segment is broken. */
static void list_cut_by_one_record(void **state)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_record record;
	struct segment_file s;
	struct assay_rd in;
	struct fixture f;
	uint64_t last = 0;
	int fd;

	fixture_init(&f, ANCHOR_EACH);
	fixture_run(&f, 10);
	assert_true(load_segment(&f, 1, &s));
	for (in = assay_rd(s.records); !assay_rd_end(&in);) {
		last = assay_rd_offset(&in);
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
	}
	assay_file_free(&s.file);
	fd = openat(f.dirfd, "segment-00000001", O_RDWR);
	assert_int_equal(pwrite(fd, &last, sizeof(last), ASSAY_SEGMENT_COMMIT), 8);
	assert_int_equal(pwrite(fd, &last, sizeof(last), ASSAY_SEGMENT_COMMIT + 8), 8);
	close(fd);
	fixture_run(&f, 10);
	assert_int_equal(assert_agrees(&f), 2);
	assert_int_equal(count_in_list(&f, 2, "start=broken;", 13), 1);
	assert_int_equal(count_in_list(&f, 2, "last=crashed;", 13), 1);
	fixture_done(&f);
}

static void two_daemons(void **state)
{
	struct recorder *second;
	struct assay_err err;
	char pid[32];
	struct fixture f;

	fixture_init(&f, ANCHOR_GROUP);
	fixture_start(&f);
	assert_int_equal(recorder_start(&f.config, &second, &err), -EWOULDBLOCK);
	assay_fmt(pid, sizeof(pid), "process %d ", (int)getpid());
	assert_non_null(strstr(err.text, pid));
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 1);
	fixture_done(&f);
}

/* With the TPM gone, callers are held, or let go under a gap record. */
static void tpm_lost(void **state)
{
	struct recorder_counts counts;
	struct assay_decision d;
	struct fixture f;

	for (unsigned release = 0; release < 2; release++) {
		fixture_init(&f, ANCHOR_GROUP);
		f.config.on_tpm_loss = release ? ON_STALL_RELEASE : ON_STALL_HOLD;
		f.config.stop_ms = FLUSH_MS;
		fixture_start(&f);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_GONE, 0, 1);
		measure_files(&f, 3);
		do {
			usleep(1000);
			recorder_counts(f.recorder, &counts);
		} while (!counts.tpm_lost);
		assert_int_equal(measure_file(&f, f.files++, 0, false, &d), 0);
		assert_int_equal(d.wait_for == ASSAY_NO_RECORD, release);
		assay_fake_anchor_back(f.tpm);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		recorder_counts(f.recorder, &counts);
		assert_false(counts.tpm_lost);
		fixture_stop(&f);
		assert_int_equal(f.n_released, release);
		assert_int_equal(count_event(&f, 1, "released"), release);
		assert_int_equal(assert_agrees(&f), 1);
		assert_all_there(&f, true);
		fixture_done(&f);
	}
}

/* Lines that say that there is no room. */
static unsigned waits_for_room;

static void count_waits(void *ctx, int priority, const char *text)
{
	on_log(ctx, priority, text);
	if (strstr(text, "still waits") && !strstr(text, "TPM"))
		__atomic_fetch_add(&waits_for_room, 1, __ATOMIC_RELAXED);
}

/* The last segment leads to the PCRs, and what was measured is there. */
static void assert_new_segment_has_all(struct fixture *f)
{
	static const struct assay_pcr_value zero;
	struct assay_replay *replay;
	struct segment_file s;
	uint64_t records;
	unsigned n = 1;

	while (load_segment(f, n + 1, &s)) {
		assay_file_free(&s.file);
		n++;
	}
	assert_true(n >= 2 && load_segment(f, n, &s));
	assert_memory_not_equal(&s.head.base[10], &zero, sizeof(zero));
	replay = replay_segment(f, &s, &records);
	assert_pcr(f, replay, 10);
	assert_pcr(f, replay, 11);
	assert_int_equal(assay_replay_pending(replay), 0);
	for (uint32_t i = 1; i < f->files; i++) { /* the first got into the closed one */
		char path[32];
		size_t len = assay_fmt(path, sizeof(path), "/file/%u", i) + 1;

		assert_non_null(memmem(s.records.data, s.records.len, path, len));
	}
	assay_replay_free(replay);
	assay_file_free(&s.file);
}

/* No more room (here: the process may not make files larger): events are refused, the loss is in
 * the list, and it goes on when there is room. */
static void list_full(void **state)
{
	struct rlimit limit, small;
	struct stat st;
	struct recorder_counts counts;
	struct assay_decision d;
	struct fixture f;
	uint32_t n = 0;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	fixture_init(&f, ANCHOR_GROUP);
	fixture_start(&f);
	small = limit;
	assert_int_equal(fstatat(f.dirfd, "segment-00000001", &st, 0), 0);
	small.rlim_cur = (rlim_t)st.st_size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (measure_file(&f, 1000 + n, 0, false, &d) == 0)
		assert_true(n++ < 100000);
	assert_int_equal(measure_file(&f, 1, 0, false, &d), -ENOSPC);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0); /* batches have the reserve */
	recorder_counts(f.recorder, &counts);
	assert_true(counts.list_full);
	assert_int_equal(counts.lost_events, 2);
	assert_non_null(strstr(f.error, f.dir));
	assert_non_null(strstr(f.error, "No space left on device; make room"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	measure_files(&f, 10);
	recorder_counts(f.recorder, &counts);
	assert_false(counts.list_full);
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 1);
	assert_all_there(&f, true);
	assert_int_equal(count_event(&f, 1, "list-full"), 1);
	assert_int_equal(count_in_list(&f, 1, "event=list-resumed;lost=2;", 26), 1);
	fixture_done(&f);
}

/* A segment must be begun and there is no room: for its file, for its first records, for those that
 * the closed one did not get into the TPM. Nobody is released meanwhile, and nothing is lost. */
static void no_room_for_a_segment(void **state)
{
	static const rlim_t sizes[] = { 100, 24576 + 100, 24576 + 65536, 24576 + 65536 + 40000 };
	static const struct assay_pcr_value foreign = { .value = { { 1 }, { 2 } } };
	struct recorder_counts counts;
	struct rlimit limit, small;
	struct fixture f;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		fixture_init(&f, ANCHOR_GROUP);
		f.config.log = count_waits;
		f.config.stop_ms = FLUSH_MS;
		fixture_start(&f);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_BLOCK, 0, 1);
		measure_files(&f, 1);
		assay_fake_anchor_await_blocked(f.tpm);
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_IO_BEFORE, 0, 1);
		measure_files(&f, 2000);
		recorder_counts(f.recorder, &counts);
		assay_fake_anchor_foreign(f.tpm, 10, &foreign);
		small = limit;
		small.rlim_cur = sizes[i];
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		__atomic_store_n(&waits_for_room, 0, __ATOMIC_RELAXED);
		assay_fake_anchor_release(f.tpm);
		while (__atomic_load_n(&waits_for_room, __ATOMIC_RELAXED) == 0)
			usleep(1000);
		assert_false(is_anchored(&f, counts.records - 1));
		assert_int_equal(recorder_flush(f.recorder, 10), -ETIMEDOUT);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		assert_true(is_anchored(&f, counts.records - 1));
		measure_files(&f, 10);
		fixture_stop(&f);
		assert_new_segment_has_all(&f);
		fixture_done(&f);
	}
}

/* The same, found by a check that somebody asked for, as the end does: what the closed segment has
 * in the TPM is not extended again. */
static void no_room_for_a_segment_at_the_end(void **state)
{
	static const rlim_t sizes[] = { 24576 + 100, 24576 + 65536 };
	static const struct assay_pcr_value foreign = { .value = { { 1 }, { 2 } } };
	struct rlimit limit, small;
	struct fixture f;
	uint64_t extends;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		fixture_init(&f, ANCHOR_GROUP);
		fixture_start(&f);
		measure_files(&f, 10);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		assay_fake_anchor_foreign(f.tpm, 10, &foreign);
		extends = assay_fake_anchor_extends(f.tpm, 10);
		small = limit;
		small.rlim_cur = sizes[i];
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		fixture_stop(&f);
		assert_int_equal(assay_fake_anchor_extends(f.tpm, 10), extends);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		fixture_run(&f, 10);
		assert_int_equal(assert_agrees(&f), 2);
		fixture_done(&f);
	}
}

static void without_tpm(void **state)
{
	struct recorder_counts counts;
	struct assay_decision d;
	struct fixture f;

	fixture_init(&f, ANCHOR_GROUP);
	f.config.anchor = (struct assay_anchor){ 0 };
	for (unsigned i = 0; i < 2; i++) {
		fixture_start(&f);
		measure_files(&f, 10);
		assert_int_equal(measure_file(&f, 5, 0, false, &d), 0);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		recorder_counts(f.recorder, &counts);
		assert_int_equal(counts.extends, 0);
		fixture_stop(&f);
	}
	assert_all_there(&f, true);
	assert_int_equal(count_in_list(&f, 1, "last=stopped;", 13), 1);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fault_at_every_extend),
		cmocka_unit_test(faults_pile_up),
		cmocka_unit_test(foreign_extend_between_runs),
		cmocka_unit_test(foreign_extend_in_a_run),
		cmocka_unit_test(waiters_cross_segments),
		cmocka_unit_test(machine_restarts),
		cmocka_unit_test(list_cut_by_one_record),
		cmocka_unit_test(two_daemons),
		cmocka_unit_test(tpm_lost),
		cmocka_unit_test(list_full),
		cmocka_unit_test(no_room_for_a_segment),
		cmocka_unit_test(no_room_for_a_segment_at_the_end),
		cmocka_unit_test(without_tpm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
