/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's records land in the PCR between our last look and our own extend, or right after it:
 * every order of up to three of them, with every outcome of that extend. With $ORDER_DIR the
 * segments and the PCRs that they must lead to are kept there, for programs that share nothing with
 * the recorder.
 */
#include "unit/kernel_fixture.h"

#define WRITTEN_OFFSET 20480 /* docs/formats/segment.md: written, synced */

#define WAIT_MAX       20 /* more than these must not wait in mode "each" */

enum outcome { DONE, DONE_AND_LOST, LOST, OUTCOMES };

struct order {
	enum anchor_mode mode;
	unsigned before, after; /* records of the kernel around our extend */
	enum outcome outcome;
	bool late;	  /* the last of those before is counted, and extended behind ours */
	unsigned waiting; /* more of ours that is written meanwhile */
	bool pads, two_pcrs;
};

/* Stands between the recorder and the TPM: the kernel comes in between. */
struct wedge {
	struct assay_anchor inner;
	struct kernel *k;
	struct order order;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool armed, entered, go;
};

static int wedge_reopen(void *ctx, struct assay_err *err)
{
	struct wedge *w = ctx;

	return w->inner.ops->reopen(w->inner.ctx, err);
}

static int wedge_banks(void *ctx, struct assay_banks *ret, struct assay_err *err)
{
	struct wedge *w = ctx;

	return w->inner.ops->banks(w->inner.ctx, ret, err);
}

static int wedge_read(void *ctx, uint32_t mask, struct assay_pcr_value values[ASSAY_PCRS],
		      struct assay_tpm_clock *clock, struct assay_err *err)
{
	struct wedge *w = ctx;

	return w->inner.ops->read(w->inner.ctx, mask, values, clock, err);
}

static bool is_struck(struct wedge *w, uint32_t pcr)
{
	bool struck;

	pthread_mutex_lock(&w->lock);
	struck = w->armed && pcr == 10;
	if (struck) {
		w->armed = false;
		w->entered = true;
		pthread_cond_broadcast(&w->changed);
		while (!w->go)
			pthread_cond_wait(&w->changed, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return struck;
}

static int wedge_extend(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
			struct assay_err *err)
{
	struct wedge *w = ctx;
	bool struck = is_struck(w, pcr);
	int rc = 0;

	if (struck) {
		kernel_counts(w->k, w->order.before);
		kernel_extend(w->k, w->order.before - w->order.late);
	}
	if (!struck || w->order.outcome != LOST)
		rc = w->inner.ops->extend(w->inner.ctx, pcr, digests, err);
	if (struck)
		kernel_measures(w->k, w->order.after);
	if (struck && w->order.outcome != DONE)
		rc = assay_err_set(err, -ETIMEDOUT, "no answer");
	return rc;
}

static const struct assay_anchor_ops wedge_ops = {
	.kind = ASSAY_ANCHOR_TPM2,
	.reopen = wedge_reopen,
	.banks = wedge_banks,
	.read = wedge_read,
	.extend = wedge_extend,
};

static void wedge_arm(struct wedge *w)
{
	pthread_mutex_lock(&w->lock);
	w->armed = true;
	w->entered = w->go = false;
	pthread_mutex_unlock(&w->lock);
}

static void wedge_await(struct wedge *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->entered)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

static void wedge_go(struct wedge *w)
{
	pthread_mutex_lock(&w->lock);
	w->go = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void put_file(const char *name, const char *end, struct assay_bytes bytes)
{
	char path[512];

	assay_fmt(path, sizeof(path), "%s/%s%s", getenv("ORDER_DIR"), name, end);
	assert_int_equal(assay_file_replace(AT_FDCWD, path, 0600, bytes, NULL), 0);
}

/* The segment, and the PCRs as "BANK INDEX HEX". */
static void keep(struct fixture *f, const char *name)
{
	static const char *const banks[] = { "sha1", "sha256" };
	struct segment_file s;
	uint8_t text[1024];
	struct assay_wr w = assay_wr(text, sizeof(text));

	if (!getenv("ORDER_DIR"))
		return;
	assert_true(load_segment(f, 1, &s));
	put_file(name, ".segment", s.file.bytes);
	assay_file_free(&s.file);
	for (uint32_t p = 10; p <= 11; p++) {
		struct assay_pcr_value v;

		assay_fake_anchor_pcr(f->tpm, p, &v);
		for (unsigned i = 0; i < 2; i++) {
			char hex[129];

			for (unsigned k = 0; k < (i ? 32 : 20); k++)
				assay_fmt(hex + 2 * k, sizeof(hex) - 2 * k, "%02x", v.value[i][k]);
			assay_wr_str(&w, banks[i]);
			assay_wr_str(&w, p == 10 ? " 10 " : " 11 ");
			assay_wr_str(&w, hex);
			assay_wr_u8(&w, '\n');
		}
	}
	put_file(name, ".pcrs", assay_wr_done(&w));
}

static void assert_kernel_is_there(struct kernel *k, unsigned n)
{
	assert_int_equal(assay_core_records(k->core), n);
	for (unsigned i = 0; i < n; i++) {
		char name[32];
		size_t len = assay_fmt(name, sizeof(name), "kernel-%u", i) + 1;

		/* Once as the name; the buffer has no NUL behind it. */
		assert_int_equal(count_in_list(k->f, 1, name, len), 1);
	}
}

static void strike(struct fixture *f, struct wedge *w)
{
	wedge_arm(w);
	measure_files(f, 1);
	wedge_await(w);
	if (w->order.waiting <= WAIT_MAX)
		measure_files(f, w->order.waiting);
	wedge_go(w);
	if (w->order.waiting > WAIT_MAX)
		measure_files(f, w->order.waiting);
	assert_int_equal(recorder_flush(f->recorder, FLUSH_MS), 0);
}

static void run_order(const struct order *o)
{
	struct wedge w = { .order = *o };
	struct fixture f;
	struct kernel k;
	char name[64];

	assay_fmt(name, sizeof(name), "%u-%u-%u-%u-%u-%u%u%u", (unsigned)o->mode, o->before,
		  o->after, (unsigned)o->outcome, o->waiting, o->late, o->pads, o->two_pcrs);
	if (getenv("VERBOSE"))
		fprintf(stderr, "%s\n", name);
	kernel_init(&k, &f, o->mode);
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.changed, NULL);
	w.k = &k;
	k.pads = o->pads;
	k.two_pcrs = o->two_pcrs;
	w.inner = f.config.anchor;
	f.config.anchor = (struct assay_anchor){ &wedge_ops, &w };
	kernel_measures(&k, 2);
	fixture_start(&f);
	measure_files(&f, 8);
	assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
	for (unsigned times = 0; times < 2; times++) {
		strike(&f, &w);
		measure_files(&f, 3);
	}
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 1);
	for (unsigned runs = 0; runs < 2; runs++) { /* the place is found again */
		fixture_run(&f, 2);
		assert_int_equal(assert_agrees(&f), 1);
	}
	assert_all_there(&f, true);
	assert_kernel_is_there(&k, 2 + 2 * (o->before + o->after));
	keep(&f, name);
	kernel_done(&k);
	pthread_mutex_destroy(&w.lock);
	pthread_cond_destroy(&w.changed);
}

static void run_mode(enum anchor_mode mode)
{
	struct order o = { .mode = mode };

	for (unsigned m = 1; m <= 3; m++)
		for (o.before = 0; o.before <= m; o.before++)
			for (unsigned i = 0; i < 2 * OUTCOMES; i++) {
				o.after = m - o.before;
				o.outcome = (enum outcome)(i % OUTCOMES);
				o.waiting = i >= OUTCOMES ? 6 : 0;
				run_order(&o);
			}
}

static void every_order_in_mode_each(void **state)
{
	run_mode(ANCHOR_EACH);
}

static void every_order_in_mode_group(void **state)
{
	run_mode(ANCHOR_GROUP);
}

static void every_order_in_mode_ordered(void **state)
{
	run_mode(ANCHOR_ORDERED);
}

/* What is rarer: a kernel that pads, or measures into several PCRs, or counts what it has not
 * extended yet, or does a lot meanwhile. */
static void every_kernel(void **state)
{
	static const enum anchor_mode modes[] = { ANCHOR_EACH, ANCHOR_GROUP };
	static const unsigned counts[][2] = { { 1, 1 }, { 3, 2 }, { 100, 70 } };

	unsigned step = getenv("ASSAY_TEST_LONG") ? 1 : 5;

	for (unsigned i = 0; i < 2 * 3 * 8 * OUTCOMES; i += step) {
		const struct order o = {
			.mode = modes[i % 2],
			.before = counts[i / 2 % 3][0],
			.after = counts[i / 2 % 3][1],
			.late = i / 6 & 1,
			.pads = i / 12 & 1,
			.two_pcrs = i / 24 & 1,
			.outcome = (enum outcome)(i / 48),
			.waiting = i % 5 ? 4 : 0,
		};

		run_order(&o);
	}
}

/* More of ours comes at once than a replay can put a record of the kernel's before. */
static void much_of_ours_comes(void **state)
{
	for (unsigned i = 0; i < 2 * OUTCOMES; i++) {
		const struct order o = {
			.mode = i % 2 ? ANCHOR_GROUP : ANCHOR_EACH,
			.before = 1,
			.after = 1,
			.outcome = (enum outcome)(i / 2),
			.waiting = 300,
		};

		run_order(&o);
	}
}

/* The segment ends behind @records of the records that it has; what was beyond is lost. */
static void cut_behind(struct fixture *f, uint64_t records)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	int fd = openat(f->dirfd, "segment-00000001", O_RDWR | O_CLOEXEC);
	struct assay_record record;
	struct segment_file s;
	struct assay_rd in;
	uint64_t words[2];

	assert_true(load_segment(f, 1, &s));
	in = assay_rd(s.records);
	while (records-- > 0)
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
	words[0] = words[1] = assay_rd_offset(&in);
	assert_int_equal(pwrite(fd, words, sizeof(words), WRITTEN_OFFSET), sizeof(words));
	close(fd);
	assay_file_free(&s.file);
}

/* The TPM is there again, and a new process connects to it. */
static void tpm_back(struct fixture *f)
{
	assay_fake_anchor_back(f->tpm);
	assert_int_equal(f->config.anchor.ops->reopen(f->config.anchor.ctx, NULL), 0);
}

/* A run is killed after it has announced records of the kernel's, before it has written them all.
 */
static void announced_records_are_completed(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 2 * 4; m++) {
		uint64_t records;
		struct segment_file s;

		kernel_init(&k, &f, m % 2 ? ANCHOR_GROUP : ANCHOR_EACH);
		kernel_measures(&k, 2);
		fixture_start(&f);
		measure_files(&f, 5);
		/* What is written now never gets to the TPM. */
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_GONE, 0, 1);
		measure_files(&f, 2);
		fixture_stop(&f);
		assert_true(load_segment(&f, 1, &s));
		assay_replay_free(replay_segment(&f, &s, &records));
		assay_file_free(&s.file);
		tpm_back(&f);
		kernel_measures(&k, 3);
		assay_fake_anchor_fault(f.tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_GONE, 0, 1);
		fixture_start(&f);
		fixture_stop(&f);
		assert_int_equal(count_event(&f, 1, "kernel"), 1);
		cut_behind(&f, records + 1 + m / 2); /* the announcement, and some of the three */
		tpm_back(&f);
		for (unsigned runs = 0; runs < 2; runs++) {
			fixture_run(&f, 3);
			assert_int_equal(assert_agrees(&f), 1);
		}
		assert_kernel_is_there(&k, 5);
		assert_all_there(&f, true);
		kernel_done(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order_in_mode_each),
		cmocka_unit_test(every_order_in_mode_group),
		cmocka_unit_test(every_order_in_mode_ordered),
		cmocka_unit_test(every_kernel),
		cmocka_unit_test(much_of_ours_comes),
		cmocka_unit_test(announced_records_are_completed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
