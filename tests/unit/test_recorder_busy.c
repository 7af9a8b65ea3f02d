/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A recorder beside a kernel that never rests: what it waits for ends all the same, and what a step
 * costs does not grow with the list. */
#include "unit/kernel_fixture.h"

#include <stdatomic.h>

#include "base/clock.h"

#define RECORDS_MAX 900 /* that the fixture's kernel has room for */
#define ASKED	    23	/* a PCR that only who asks looks at */

static struct kernel *other;
static const struct assay_anchor_ops *alone;
/* It measures so many before and behind each extend, and behind each read. */
static atomic_uint per, per_read;
static atomic_uint extends;
static unsigned then; /* the records that it had when somebody asked for the PCRs */

static unsigned kernels_records(void)
{
	unsigned n;

	pthread_mutex_lock(&other->lock);
	n = (unsigned)assay_core_records(other->core);
	pthread_mutex_unlock(&other->lock);
	return n;
}

static void kernel_goes_on(unsigned n)
{
	if (n > 0 && kernels_records() + n <= RECORDS_MAX)
		kernel_measures(other, n);
}

static int extend_amid(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
		       struct assay_err *err)
{
	int rc;

	atomic_fetch_add(&extends, 1);
	kernel_goes_on(per);
	rc = alone->extend(ctx, pcr, digests, err);
	kernel_goes_on(per);
	return rc;
}

static int read_amid(void *ctx, uint32_t pcrs, struct assay_pcr_value values[ASSAY_PCRS],
		     struct assay_tpm_clock *clock, struct assay_err *err)
{
	int rc = alone->read(ctx, pcrs, values, clock, err);

	if (pcrs & 1u << ASKED)
		then = kernels_records();
	kernel_goes_on(per_read);
	return rc;
}

/* From the next start on the kernel measures so many around each command. */
static void begin(struct kernel *k, struct fixture *f, enum anchor_mode mode)
{
	static struct assay_anchor_ops ops;

	kernel_init(k, f, mode);
	other = k;
	alone = f->config.anchor.ops;
	ops = *alone;
	ops.extend = extend_amid;
	ops.read = read_amid;
	f->config.anchor.ops = &ops;
	per = per_read = 0;
	kernel_measures(k, 3);
}

/* It rests: what is left is extended. One segment comes of it, with each record once. */
static void end(struct kernel *k)
{
	struct fixture *f = k->f;

	f->config.anchor.ops = alone;
	fixture_run(f, 0);
	assert_int_equal(assert_agrees(f), 1);
	assert_all_there(f, true);
	for (unsigned i = 0; i < assay_core_records(k->core); i++) {
		char name[32];
		size_t len = assay_fmt(name, sizeof(name), "kernel-%u", i) + 1;

		assert_int_equal(count_in_list(f, 1, name, len), 1);
	}
	kernel_done(k);
}

static uint64_t index_of(struct fixture *f, const char *text)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_record record;
	struct segment_file s;
	struct assay_rd in;
	uint64_t index = 0;

	assert_true(load_segment(f, 1, &s));
	for (in = assay_rd(s.records);; index++) {
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		if (memmem(record.data.data, record.data.len, text, strlen(text)))
			break;
	}
	assay_file_free(&s.file);
	return index;
}

/* A flush, and a clean stop, wait for what was there, not for the kernel. The next start knows that
 * the stop was one, whatever was announced behind it. */
static void a_stop_beside_a_kernel_that_never_rests(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		begin(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		fixture_start(&f);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		per = 1;
		per_read = m >> 1;
		measure_files(&f, 5);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		per = per_read = 0; /* or it would count what was extended before the stop began */
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		atomic_store(&extends, 0);
		per = 1;
		per_read = m >> 1;
		fixture_stop(&f);
		assert_true(f.upto > index_of(&f, ";event=stop;"));
		assert_true(atomic_load(&extends) < 60);
		assert_true(assay_core_records(k.core) < RECORDS_MAX / 2);
		f.config.anchor.ops = alone;
		fixture_run(&f, 0);
		assert_int_equal(count_in_list(&f, 1, "last=stopped;", 13), 1);
		end(&k);
	}
}

/* Forty records of the kernel's wait for no extend of ours: there is room for events. */
static void what_the_kernel_extended_takes_no_room(void **state)
{
	struct fixture f;
	struct kernel k;
	uint64_t start;

	begin(&k, &f, ANCHOR_EACH);
	fixture_start(&f);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	per = 20;
	measure_files(&f, 1);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	per = 0;
	assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_BLOCK, 0, 1);
	measure_files(&f, 1);
	assay_fake_anchor_await_blocked(f.tpm);
	start = assay_clock_ns();
	measure_files(&f, 18);
	assert_true(assay_clock_ns() - start < 9000000000u); /* not a second each */
	assay_fake_anchor_release(f.tpm);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	fixture_stop(&f);
	end(&k);
}

/* Before, or behind, the first extend of ours or the next ones. */
static unsigned number, at;

static int extend_and_first(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
			    struct assay_err *err)
{
	if (number++ == at)
		kernel_measures(other, 2);
	return alone->extend(ctx, pcr, digests, err);
}

/* The kernel had no record when the segment began. */
static void its_first_records_come_before_ours(void **state)
{
	struct assay_anchor_ops ops;
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 8; m++) {
		kernel_init(&k, &f, m & 1 ? ANCHOR_GROUP : ANCHOR_EACH);
		if (m & 2)
			kernel_publish(&k); /* there is a list, without records */
		other = &k;
		alone = f.config.anchor.ops;
		ops = *alone;
		ops.extend = extend_and_first;
		f.config.anchor.ops = &ops;
		number = 0;
		at = m >> 2;
		fixture_start(&f);
		measure_files(&f, 5);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		fixture_stop(&f);
		end(&k);
	}
}

/* ---- what a step costs */

static const struct assay_crypto_ops *hashes;
static struct assay_crypto_ops counting;
static atomic_uint hashed;

static int count_hash(void *ctx, enum assay_hash alg, struct assay_bytes in, uint8_t *ret)
{
	atomic_fetch_add(&hashed, 1);
	return hashes->hash(ctx, alg, in, ret);
}

/* Each step is looked for among the kernel's, in a list of 600: they are not all replayed again. */
static void a_step_does_not_replay_the_list(void **state)
{
	struct fixture f;
	struct kernel k;
	unsigned n;

	for (unsigned m = 0; m < 2; m++) {
		begin(&k, &f, m ? ANCHOR_GROUP : ANCHOR_EACH);
		hashes = f.config.crypto.ops;
		counting = *hashes;
		counting.hash = count_hash;
		f.config.crypto.ops = &counting;
		kernel_measures(&k, 600);
		fixture_start(&f);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		per = 1;
		measure_files(&f, 2);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		atomic_store(&hashed, 0);
		atomic_store(&extends, 0);
		for (unsigned i = 0; i < 10; i++) {
			measure_files(&f, 1);
			assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		}
		n = atomic_load(&hashed);
		assert_true(n < atomic_load(&extends) * 600);
		fixture_stop(&f);
		f.config.crypto.ops = hashes;
		end(&k);
	}
}

/* ---- values that leave assayd */

static unsigned lacking;

static void *ask(void *arg)
{
	struct fixture *f = arg;
	struct assay_pcr_value values[ASSAY_PCRS];
	struct assay_tpm_clock clock;
	struct assay_banks banks;
	char name[32];

	lacking = recorder_read_pcrs(f->recorder, 1u << 10 | 1u << ASKED, values, &banks, &clock,
				     NULL) < 0;
	for (unsigned i = 0; i < then; i++) {
		size_t len = assay_fmt(name, sizeof(name), "kernel-%u", i) + 1;

		lacking += count_in_list(f, 1, name, len) != 1;
	}
	return NULL;
}

/* Somebody asks while steps of ours wait behind what the kernel has extended: its records are in
 * the list when he has his answer. */
static void asked_while_steps_wait(void **state)
{
	struct assay_decision d;
	struct fixture f;
	struct kernel k;
	pthread_t thread;

	for (unsigned m = 0; m < 2; m++) {
		begin(&k, &f, m ? ANCHOR_GROUP : ANCHOR_EACH);
		fixture_start(&f);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_BLOCK, 0, 1);
		measure_files(&f, 1);
		assay_fake_anchor_await_blocked(f.tpm);
		assert_int_equal(measure_file(&f, 1000, 0, false, &d), 0);
		assert_int_equal(measure_file(&f, 1001, 11, false, &d), 0);
		per = 1;
		/* One in PCR 10, then, in mode "group", one in PCR 11. */
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_BLOCK, 1, 1);
		assay_fake_anchor_release(f.tpm);
		assay_fake_anchor_await_blocked(f.tpm);
		kernel_measures(&k, 2);
		assert_int_equal(pthread_create(&thread, NULL, ask, &f), 0);
		usleep(50000); /* until it waits; if that takes longer nothing is shown */
		/* The look that comes behind his. */
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_READ, ASSAY_FAKE_BLOCK, m ? 1 : 2, 1);
		assay_fake_anchor_release(f.tpm);
		assay_fake_anchor_await_blocked(f.tpm);
		usleep(50000); /* for who does not wait for that */
		assay_fake_anchor_release(f.tpm);
		pthread_join(thread, NULL);
		assert_int_equal(lacking, 0);
		per = 0;
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		fixture_stop(&f);
		end(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stop_beside_a_kernel_that_never_rests),
		cmocka_unit_test(what_the_kernel_extended_takes_no_room),
		cmocka_unit_test(its_first_records_come_before_ours),
		cmocka_unit_test(a_step_does_not_replay_the_list),
		cmocka_unit_test(asked_while_steps_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
