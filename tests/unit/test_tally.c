/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* However many come, few get a record, and the counts of the others are complete. */
#include "unit/test.h"

#include "programs/assayd/main/tally.h"

#define HOUR TALLY_INTERVAL_NS

static void few_are_shown_and_the_rest_is_counted(void **state)
{
	static struct tally t;
	struct tally_kind k;
	unsigned shown = 0;

	for (unsigned i = 0; i < 1000; i++)
		shown += tally_add(&t, "fuse", 5 + i);
	assert_int_equal(shown, TALLY_SHOWN);
	assert_true(tally_add(&t, "proc", 6)); /* another kind has its own */
	assert_false(tally_take(&t, 4 + HOUR, &k));
	assert_true(tally_take(&t, 5 + HOUR, &k));
	assert_string_equal(k.name, "fuse");
	assert_int_equal(k.counted, 1000 - TALLY_SHOWN);
	assert_false(tally_take(&t, UINT64_MAX, &k));
	assert_true(tally_add(&t, "fuse", 6 + HOUR));
}

static void intervals_begin_anew(void **state)
{
	static struct tally t;
	struct tally_kind k;

	for (unsigned i = 0; i < 3 * TALLY_SHOWN; i++)
		assert_true(tally_add(&t, "fuse", i / TALLY_SHOWN * HOUR));
	assert_false(tally_take(&t, UINT64_MAX, &k));
	/* Late to be taken: what is counted by then is one count. */
	assert_false(tally_add(&t, "fuse", 2 * HOUR + 1));
	assert_false(tally_add(&t, "fuse", 9 * HOUR));
	assert_true(tally_take(&t, 9 * HOUR, &k));
	assert_int_equal(k.counted, 2);
}

static void kinds_are_bounded(void **state)
{
	static struct tally t;
	struct tally_kind k;
	uint64_t shown = 0, counted = 0;
	char name[64];

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "a-name-that-is-cut-somewhere-%u", i % 500);
		shown += tally_add(&t, i % 2 ? name + 25 : name, 1);
	}
	while (tally_take(&t, UINT64_MAX, &k))
		counted += k.counted;
	assert_true(shown <= TALLY_KINDS * TALLY_SHOWN);
	assert_int_equal(shown + counted, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_are_shown_and_the_rest_is_counted),
		cmocka_unit_test(intervals_begin_anew),
		cmocka_unit_test(kinds_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
