/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A segment begins while others write: nobody waits for the digest of the closed one, nor for the
 * medium, and nothing that was written meanwhile is lost, also if it cannot have its name. */
#include "unit/recorder_fixture.h"

#include <sys/syscall.h>

#define LARGE (64u << 10) /* bytes; a digest of so many is that of a list */

static const struct assay_crypto_ops *plain;
static struct fixture *busy;	/* who writes at such a moment */
static unsigned hashed, synced; /* how often that was */
static struct assay_decision last;

/* In the anchor thread, for any other: if the recorder's lock is held, this is for ever. */
static void write_now(unsigned *count)
{
	struct assay_decision d;
	int rc;

	alarm(120);
	rc = measure_file(busy, busy->files, 0, false, &d);
	alarm(0);
	if (rc == -EIO) /* between two tries there is no segment to write to */
		return;
	assert_int_equal(rc, 0);
	assert_int_equal(d.n_new, 1);
	last = d;
	busy->files++;
	++*count;
}

static int hash(void *ctx, enum assay_hash alg, struct assay_bytes in, uint8_t *ret)
{
	if (busy && in.len > LARGE)
		write_now(&hashed);
	return plain->hash(ctx, alg, in, ret);
}

static int hash_update(struct assay_hash_ctx *h, struct assay_bytes in)
{
	if (busy && in.len > LARGE)
		write_now(&hashed);
	return plain->hash_update(h, in);
}

/* In place of the C library's. */
int fdatasync(int fd)
{
	if (busy && hashed > 0 && busy->n_segments == 0)
		write_now(&synced);
	return (int)syscall(SYS_fdatasync, fd);
}

static void start(struct fixture *f, enum anchor_mode mode, struct assay_crypto_ops *ops)
{
	struct assay_decision d;

	fixture_init(f, mode);
	plain = f->config.crypto.ops;
	*ops = *plain;
	ops->hash = hash;
	ops->hash_update = hash_update;
	f->config.crypto.ops = ops;
	f->config.stop_ms = FLUSH_MS;
	fixture_start(f);
	while (f->files < 2000)
		assert_int_equal(measure_file(f, f->files++, 0, false, &d), 0);
	assert_int_equal(recorder_flush(f->recorder, FLUSH_MS), 0);
}

/* The next extend fails, and somebody else has extended PCR 10: a segment begins. */
static void break_segment(struct fixture *f)
{
	static const struct assay_pcr_value foreign = { .value = { { 1 }, { 2 } } };
	struct assay_facts facts;
	struct assay_decision d;
	char path[32];

	assay_fake_anchor_fault(f->tpm, ASSAY_FAKE_EXTEND, ASSAY_FAKE_IO_BEFORE, 0, 1);
	assay_fake_anchor_foreign(f->tpm, 10, &foreign);
	hashed = synced = 0;
	busy = f;
	file_facts(f->files++, 0, path, &facts);
	assert_int_equal(record(f, &facts, &d), 0);
}

/* Each file stands in segment @number, or in any. */
static void assert_has_all(struct fixture *f, unsigned number, uint32_t files)
{
	struct assay_bytes all = load_records(f, number);

	for (uint32_t i = 0; i < files; i++) {
		char path[32];
		size_t len = assay_fmt(path, sizeof(path), "/file/%u", i) + 1;

		assert_true(count_bytes(all, path, len) >= 1);
	}
	free((void *)(uintptr_t)all.data);
}

static void finish(struct fixture *f)
{
	/* What broke the segment is in the new one, so that is begun; then the rest. */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(recorder_flush(f->recorder, FLUSH_MS), 0);
	busy = NULL;
	assert_true(is_anchored(f, last.wait_for));
	fixture_stop(f);
	assert_int_equal(assert_agrees(f), 2);
	assert_has_all(f, 0, f->files);
	fixture_done(f);
}

static const enum anchor_mode modes[] = { ANCHOR_EACH, ANCHOR_GROUP, ANCHOR_ORDERED };

static void others_write_while_a_segment_begins(void **state)
{
	struct assay_crypto_ops ops;
	struct fixture f;

	for (unsigned m = 0; m < ARRAY_LEN(modes); m++) {
		start(&f, modes[m], &ops);
		break_segment(&f);
		finish(&f);
		assert_true(hashed > 0);
		assert_int_equal(synced, 3); /* the closed one, its last records, the new one */
		/* Also in mode "ordered": the segment had no name. */
		assert_true(last.wait_for != ASSAY_NO_RECORD);
	}
}

static bool is_refused(struct fixture *f)
{
	bool refused;

	pthread_mutex_lock(&f->lock);
	refused = strstr(f->error, "cannot begin segment 2") != NULL;
	pthread_mutex_unlock(&f->lock);
	return refused;
}

/* Something has the name that the segment is to have. */
static void what_others_wrote_is_kept_without_a_name(void **state)
{
	struct assay_crypto_ops ops;
	struct fixture f;

	for (unsigned m = 0; m < ARRAY_LEN(modes); m++) {
		start(&f, modes[m], &ops);
		assert_int_equal(mkdirat(f.dirfd, "segment-00000002", 0700), 0);
		break_segment(&f);
		while (!is_refused(&f))
			usleep(1000);
		assert_int_equal(recorder_flush(f.recorder, 10), -ETIMEDOUT);
		assert_has_all(&f, 1, 2005); /* 2000, one, and one at each of four moments */
		assert_int_equal(unlinkat(f.dirfd, "segment-00000002", AT_REMOVEDIR), 0);
		finish(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_write_while_a_segment_begins),
		cmocka_unit_test(what_others_wrote_is_kept_without_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
