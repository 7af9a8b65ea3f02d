/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of the kernel that were extended before steps which the list has before them. */
#include "unit/crypto_fixture.h"

#include <errno.h>

#include "base/fmt.h"
#include "engine/replay.h"
#include "engine/verify.h"
#include "unit/list_builder.h"

#define STATE_GROUP "v=1;event=mode;mode=group;"

static const struct assay_banks banks = { { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, 2 };
static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };

static void builder_announce(struct list_builder *b, uint64_t at, uint64_t index, unsigned count)
{
	char text[128];

	assay_fmt(text, sizeof(text), "v=1;event=kernel;count=%u;at=%u;index=%u;", count,
		  (unsigned)at, (unsigned)index);
	builder_state(b, text);
}

/* The steps in list order; the replay's end value of PCR 10. */
static int walk(const struct list_builder *b, struct assay_step *steps, unsigned *ret_n,
		struct assay_pcr_value *ret, struct assay_err *err)
{
	AUTO(replay) struct assay_replay *r = NULL;
	struct assay_rd in = assay_rd(assay_bytes(b->buf, b->w.len));
	struct assay_record record;
	bool is_step;
	int rc = 0;

	assert_int_equal(assay_replay_new(&crypto, &banks, NULL, &r), 0);
	for (*ret_n = 0; rc == 0 && !assay_rd_end(&in);) {
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		rc = assay_replay_record(r, &record, 0, &is_step, &steps[*ret_n], err);
		*ret_n += rc == 0 && is_step;
	}
	assay_replay_pcr(r, 10, ASSAY_EXTEND_REAL, ret);
	return rc;
}

/* The sha256 value after the steps in this order. */
static void by_hand(const struct assay_step *steps, const unsigned *order, unsigned n,
		    uint8_t value[32])
{
	memset(value, 0, 32);
	for (unsigned i = 0; i < n; i++) {
		uint8_t both[64];

		memcpy(both, value, 32);
		memcpy(both + 32, steps[order[i]].digests.value[1], 32);
		assert_int_equal(crypto.ops->hash(crypto.ctx, ASSAY_HASH_SHA256,
						  assay_bytes(both, 64), value),
				 0);
	}
}

/* mode, a file and its batch record, two of the kernel's before and one after that. */
static void build_group(struct list_builder *b, unsigned count)
{
	builder_init(b, &crypto);
	builder_state(b, STATE_GROUP);
	builder_wait(b);
	builder_file(b, 10, "/bin/sh", false);
	builder_batch(b, 10); /* entry 2 */
	builder_wait(b);
	builder_announce(b, 2, 3, count);
	builder_file(b, 10, "/kernel/1", false);
	builder_file(b, 10, "/kernel/2", false);
}

static void test_order_in_mode_group(void **state)
{
	static const unsigned order[] = { 0, 2, 3, 1, 4 };
	struct assay_step steps[8];
	struct assay_pcr_value v;
	struct assay_err err = { 0 };
	struct list_builder b;
	uint8_t want[32];
	unsigned n;

	build_group(&b, 2);
	builder_state(&b, "v=1;event=kernel;count=1;");
	builder_file(&b, 10, "/kernel/3", false);
	assert_int_equal(walk(&b, steps, &n, &v, &err), 0);
	assert_int_equal(n, 5);
	assert_false(steps[1].kernel);
	assert_true(steps[2].kernel && steps[3].kernel && steps[4].kernel);
	by_hand(steps, order, 5, want);
	assert_memory_equal(v.value[1], want, 32);
}

/* Each record is a step: what the announcement itself extends comes after what it announces. The
 * same list in the order of the PCR leads to the same value. */
static void test_order_in_mode_each(void **state)
{
	static const unsigned order[] = { 0, 1, 4, 2, 3 };
	struct assay_step steps[8];
	struct assay_pcr_value v, straight;
	struct assay_err err = { 0 };
	struct list_builder b;
	uint8_t want[32];
	unsigned n;

	builder_init(&b, &crypto);
	builder_state(&b, "v=1;event=start;");
	builder_file(&b, 10, "/bin/sh", false);
	builder_file(&b, 10, "/bin/ls", false);
	builder_announce(&b, 2, 3, 1);
	builder_file(&b, 10, "/kernel/1", false);
	assert_int_equal(walk(&b, steps, &n, &v, &err), 0);
	by_hand(steps, order, 5, want);
	assert_memory_equal(v.value[1], want, 32);
	builder_init(&b, &crypto);
	builder_state(&b, "v=1;event=start;");
	builder_file(&b, 10, "/bin/sh", false);
	builder_file(&b, 10, "/kernel/1", false);
	builder_file(&b, 10, "/bin/ls", false);
	builder_announce(&b, 2, 3, 1);
	assert_int_equal(walk(&b, steps, &n, &straight, &err), 0);
	assert_memory_equal(&v, &straight, sizeof(v));
}

static void assert_refused(const struct list_builder *b, const char *text)
{
	struct assay_step steps[ASSAY_TAIL_MAX + 16];
	struct assay_pcr_value v;
	struct assay_err err = { 0 };
	unsigned n;

	assert_int_equal(walk(b, steps, &n, &v, &err), -EBADMSG);
	if (!strstr(err.text, text))
		fail_msg("'%s' is not in '%s'", text, err.text);
}

static void test_places_that_cannot_be(void **state)
{
	static const char *const wrong[] = {
		"v=1;event=kernel;count=1;at=1;",
		"v=1;event=kernel;count=1;at=x;index=5;",
		"v=1;event=kernel;count=1;at=6;index=5;",
		"v=1;event=kernel;count=1;at=-1;index=5;",
	};
	struct list_builder b;

	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		build_group(&b, 2);
		builder_state(&b, wrong[i]);
		assert_refused(&b, "with a wrong place");
	}
	build_group(&b, 2);
	builder_announce(&b, 2, 7, 1);
	assert_refused(&b, "says that it is entry 7");
	build_group(&b, 2); /* later ones never go before earlier ones */
	builder_announce(&b, 0, 6, 1);
	builder_file(&b, 10, "/kernel/3", false);
	assert_refused(&b, "cannot go before entry 0");
	builder_init(&b, &crypto); /* too far back */
	builder_state(&b, "v=1;event=start;");
	for (unsigned i = 1; i < ASSAY_TAIL_MAX + 2; i++)
		builder_file(&b, 10, "/bin/sh", false);
	builder_announce(&b, 2, b.records, 1);
	builder_file(&b, 10, "/kernel/1", false);
	assert_refused(&b, "cannot go before entry 2");
}

/* A PCR that was read before our step of the list's was extended is proved as far as it goes; one
 * that has our step without the kernel's record never was. */
static void test_verify_between(void **state)
{
	static const unsigned orders[][4] = { { 0, 2, 3, 1 }, { 0, 2, 3 }, { 0, 2 }, { 0, 1 } };
	static const unsigned len[] = { 4, 3, 2, 2 };
	static const unsigned uncovered[] = { 1, 3, 4 };
	struct assay_step steps[8];
	struct assay_pcr_value v;
	struct list_builder b;
	unsigned n;

	build_group(&b, 2);
	assert_int_equal(walk(&b, steps, &n, &v, NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		AUTO(verify) struct assay_verify *verify = NULL;
		struct assay_pcr_claim claim = { .alg = ASSAY_HASH_SHA256, .pcr = 10 };
		struct assay_verify_config config = { .size = sizeof(config),
						      .crypto = crypto,
						      .form = form,
						      .claims = &claim,
						      .n_claims = 1 };
		struct assay_rd in = assay_rd(assay_bytes(b.buf, b.w.len));
		struct assay_pcr_finding found;
		struct assay_record_digests d;
		struct assay_record record;
		struct assay_checker checker;

		by_hand(steps, orders[i], len[i], claim.value);
		assert_int_equal(assay_verify_new(&config, &verify, NULL), 0);
		checker = *assay_verify_checker(verify);
		while (!assay_rd_end(&in)) {
			assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
			assert_int_equal(assay_checker_digests(&checker, &record, &d, NULL), 0);
			assert_int_equal(assay_verify_record(verify, &record, 0, &d, NULL), 0);
		}
		assert_true(assay_verify_pcr(verify, 10, &found));
		if (i == 3) {
			assert_int_equal(found.state, ASSAY_PCR_NOT_REACHED);
			continue;
		}
		assert_int_equal(found.state, ASSAY_PCR_REACHED);
		assert_int_equal(found.uncovered, uncovered[i]);
	}
}

static struct assay_replay *replay_of(const struct list_builder *b, size_t from,
				      const struct assay_replay *begun, int *ret_rc)
{
	struct assay_rd in = assay_rd(assay_bytes(b->buf + from, b->w.len - from));
	struct assay_replay *r;
	struct assay_record record;
	bool is_step;

	assert_int_equal(begun ? assay_replay_copy(begun, &r)
			       : assay_replay_new(&crypto, &banks, NULL, &r),
			 0);
	for (*ret_rc = 0; *ret_rc == 0 && !assay_rd_end(&in);) {
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		*ret_rc = assay_replay_record(r, &record, 0, &is_step, NULL, NULL);
	}
	return r;
}

static void add_files(struct list_builder *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		builder_file(b, 10, "/bin/sh", false);
}

/* Whether there is a place is known before anything is written: for every entry of a list in which
 * one of the kernel's went before entry 5 already, and more steps than a replay remembers. */
static void test_what_can_be_reached(void **state)
{
	static struct list_builder b, more;

	builder_init(&b, &crypto);
	builder_state(&b, "v=1;event=start;");
	add_files(&b, 8);
	builder_announce(&b, 5, b.records, 1);
	builder_file(&b, 10, "/kernel/1", false);
	for (unsigned n = 0; n < 5; n++) {
		unsigned reached = 0;
		int rc;
		AUTO(replay) struct assay_replay *r = NULL;

		add_files(&b, n ? 20 : 0);
		r = replay_of(&b, 0, NULL, &rc);
		assert_int_equal(rc, 0);
		for (unsigned k = 0; k < 3; k++)
			for (uint64_t at = 0; at <= b.records; at++) {
				AUTO(replay) struct assay_replay *then = NULL;
				bool reaches = assay_replay_reaches(r, 1u << 10, at, k + 1);

				more = b;
				more.w.data = more.buf;
				add_files(&more, k);
				builder_announce(&more, at, more.records, 1);
				builder_file(&more, 10, "/kernel/2", false);
				then = replay_of(&more, b.w.len, r, &rc);
				assert_int_equal(rc, reaches ? 0 : -EBADMSG);
				reached += reaches;
			}
		assert_true(reached > 0 && reached < 3 * (b.records + 1));
	}
}

/* A copy goes on by itself, also where records wait for their batch record. */
static void test_copy(void **state)
{
	AUTO(replay) struct assay_replay *half = NULL, *rest = NULL, *whole = NULL;
	static struct list_builder b;
	struct assay_pcr_value x, y;
	size_t middle;
	int rc;

	builder_init(&b, &crypto);
	builder_state(&b, STATE_GROUP);
	builder_wait(&b);
	builder_file(&b, 10, "/bin/sh", false);
	half = replay_of(&b, 0, NULL, &rc);
	middle = b.w.len;
	builder_file(&b, 10, "/bin/ls", false);
	builder_batch(&b, 10);
	for (unsigned i = 0; i < 2; i++) { /* the first one has changed nothing */
		assay_replay_free(TAKE(rest));
		rest = replay_of(&b, middle, half, &rc);
		assert_int_equal(rc, 0);
	}
	whole = replay_of(&b, 0, NULL, &rc);
	assay_replay_pcr(rest, 10, ASSAY_EXTEND_REAL, &x);
	assay_replay_pcr(whole, 10, ASSAY_EXTEND_REAL, &y);
	assert_memory_equal(&x, &y, sizeof(x));
	assert_int_equal(assay_replay_steps(rest, 10), assay_replay_steps(whole, 10));
	assert_int_equal(assay_replay_pending(rest), 0);
	assert_int_equal(assay_replay_pending(half), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_in_mode_group),
		cmocka_unit_test(test_order_in_mode_each),
		cmocka_unit_test(test_places_that_cannot_be),
		cmocka_unit_test(test_verify_between),
		cmocka_unit_test(test_what_can_be_reached),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
