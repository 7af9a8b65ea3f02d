/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands between workers and sinks: the ring, the limit, and what is known. */
#include "unit/test.h"

#include "programs/assayd/audit/audit_limit.h"
#include "programs/assayd/audit/audit_ring.h"
#include "programs/assayd/audit/audit_seen.h"

#define SECOND 1000000000ull

/* ---- the ring ------------------------------------------------------------------------------- */

static void ring_gives_back_what_was_put(void **state)
{
	static struct audit_ring r;
	uint8_t data[16];
	uint64_t cursor = 1, missed = 0;
	struct assay_bytes got;

	audit_ring_init(&r, data, sizeof(data));
	assert_false(audit_ring_get(&r, &cursor, &missed, &got));
	audit_ring_put(&r, assay_bytes_str("one"));
	audit_ring_put(&r, assay_bytes_str("three"));
	assert_true(audit_ring_get(&r, &cursor, &missed, &got));
	assert_true(assay_bytes_is(got, "one"));
	assert_true(audit_ring_get(&r, &cursor, &missed, &got));
	assert_true(assay_bytes_is(got, "three"));
	assert_false(audit_ring_get(&r, &cursor, &missed, &got));
	audit_ring_put(&r, assay_bytes_str("0123456789abcdef")); /* all there is */
	assert_true(audit_ring_get(&r, &cursor, &missed, &got));
	assert_true(assay_bytes_is(got, "0123456789abcdef"));
	assert_int_equal(missed, 0);
	cursor = 1;
	assert_true(audit_ring_get(&r, &cursor, &missed, &got));
	assert_int_equal(missed, 2);
	assert_int_equal(cursor, 4);
	audit_ring_put(&r, assay_bytes_str("0123456789abcdef!")); /* more */
	assert_true(audit_ring_get(&r, &cursor, &missed, &got));
	assert_int_equal(got.len, 0);
}

/* The twin: all lines ever put, of which the ring must have the newest that fit. */
static void ring_against_a_twin(void **state)
{
	static struct audit_ring r;
	static uint8_t line[40], *data;
	static size_t length[20000];
	uint64_t cursor = 1, missed, seen = 0, lost = 0;
	struct assay_bytes got;
	size_t n, kept;

	data = malloc(301); /* exact: a write past the end is found */
	srand(1);
	audit_ring_init(&r, data, 301);
	for (n = 0; n < 20000; n++) {
		length[n] = (size_t)rand() % (n < 10000 ? sizeof(line) : 3);
		memset(line, (int)(n + 1) & 0xff, length[n]);
		audit_ring_put(&r, assay_bytes(line, length[n]));
		assert_int_equal(r.next, n + 2);
		kept = 0;
		for (uint64_t i = r.first; i < r.next; i++)
			kept += length[i - 1];
		assert_in_range(kept, n < 40 ? 0 : 1, 301);
		assert_true(r.next - r.first <= AUDIT_RING_LINES);
		/* As much is kept as can be: less than a line, and the gap at the end, is not. */
		if (r.first > 1 && n < 10000)
			assert_true(kept + 2 * sizeof(line) > 301);
		for (int k = rand() % 3; k > 0; k--) {
			missed = 0;
			if (!audit_ring_get(&r, &cursor, &missed, &got))
				break;
			lost += missed;
			seen++;
			assert_int_equal(cursor - 1, seen + lost);
			assert_int_equal(got.len, length[cursor - 2]);
			assert_true(assay_bytes_all(got, (cursor - 1) & 0xff));
		}
	}
	assert_true(lost > 0);
	free(data);
}

/* ---- the limit ------------------------------------------------------------------------------ */

static void limit_counts_what_is_beyond(void **state)
{
	static struct audit_limit l;
	struct audit_bucket b;
	unsigned taken = 0;

	audit_limit_init(&l, 5);
	for (unsigned i = 0; i < 1000; i++)
		taken += audit_limit_take(&l, 1, 0, 100 * SECOND);
	assert_int_equal(taken, 5 * AUDIT_BURST_SECONDS);
	assert_true(audit_limit_take(&l, 2, 0, 100 * SECOND)); /* others are others */
	assert_true(audit_limit_take(&l, 1, 7, 100 * SECOND));
	assert_false(audit_limit_counts(&l, 100 * SECOND, &b));
	assert_true(audit_limit_counts(&l, 101 * SECOND, &b));
	assert_int_equal(b.rule, 1);
	assert_int_equal(b.uid, 0);
	assert_int_equal(b.limited, 950);
	assert_false(audit_limit_counts(&l, UINT64_MAX, &b));
	/* Five a second, in however small steps one asks. */
	taken = 0;
	for (unsigned i = 1; i <= 3000; i++)
		taken += audit_limit_take(&l, 1, 0, 100 * SECOND + i * (SECOND / 1000));
	assert_in_range(taken, 14, 15);
	assert_true(audit_limit_counts(&l, UINT64_MAX, &b));
	assert_int_equal(b.limited, 3000 - taken);
}

static void limit_of_many_users(void **state)
{
	static struct audit_limit l;
	uint64_t taken = 0, limited = 0;
	struct audit_bucket b;

	audit_limit_init(&l, 1);
	for (uint32_t round = 0; round < 20; round++)
		for (uint32_t uid = 0; uid < 10000; uid++)
			taken += audit_limit_take(&l, 1, uid, SECOND);
	/* Who finds no bucket shares one. */
	assert_int_equal(taken, AUDIT_BUCKETS * AUDIT_BURST_SECONDS);
	while (audit_limit_counts(&l, UINT64_MAX, &b))
		limited += b.limited;
	assert_int_equal(taken + limited, 200000);
	/* Those who are quiet make room. */
	for (unsigned i = 0; i < 1000; i++)
		taken = audit_limit_take(&l, 2, 77777, 100 * SECOND);
	assert_int_equal(taken, 0);
	assert_true(audit_limit_counts(&l, UINT64_MAX, &b));
	assert_int_equal(b.uid, 77777);
	assert_int_equal(b.limited, 1000 - AUDIT_BURST_SECONDS);
}

static void no_limit(void **state)
{
	static struct audit_limit l;

	audit_limit_init(&l, 0);
	for (unsigned i = 0; i < 100000; i++)
		assert_true(audit_limit_take(&l, 1, 0, SECOND));
}

/* ---- what is known -------------------------------------------------------------------------- */

static struct audit_seen_entry entry(uint32_t file, uint32_t content)
{
	struct audit_seen_entry e = { 0 };

	memcpy(e.key, &file, sizeof(file));
	memcpy(e.key + 4, "key", 4);
	memcpy(e.content, &content, sizeof(content));
	return e;
}

static void seen_is_the_last_content(void **state)
{
	struct audit_seen *s = calloc(1, sizeof(*s));
	struct audit_seen_entry a = entry(1, 1), b = entry(1, 2), c = entry(2, 1);

	assert_false(audit_seen_has(s, &a));
	audit_seen_add(s, &a);
	assert_true(audit_seen_has(s, &a));
	assert_false(audit_seen_has(s, &b));
	assert_false(audit_seen_has(s, &c));
	audit_seen_add(s, &b);
	assert_true(audit_seen_has(s, &b));
	assert_false(audit_seen_has(s, &a)); /* it has changed back: that is a change */
	free(s);
}

/* Of those that share a set the newest are kept, and none is taken for another. */
static void seen_forgets_the_oldest(void **state)
{
	struct audit_seen *s = calloc(1, sizeof(*s));

	for (uint32_t i = 0; i < 10; i++) {
		struct audit_seen_entry e = entry(5 + i * 65536, 9);

		audit_seen_add(s, &e);
	}
	for (uint32_t i = 0; i < 10; i++) {
		struct audit_seen_entry e = entry(5 + i * 65536, 9);

		assert_int_equal(audit_seen_has(s, &e), i >= 10 - AUDIT_SEEN_WAYS);
	}
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_gives_back_what_was_put),
		cmocka_unit_test(ring_against_a_twin),
		cmocka_unit_test(limit_counts_what_is_beyond),
		cmocka_unit_test(limit_of_many_users),
		cmocka_unit_test(no_limit),
		cmocka_unit_test(seen_is_the_last_content),
		cmocka_unit_test(seen_forgets_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
