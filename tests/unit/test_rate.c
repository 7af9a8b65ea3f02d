/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include "programs/assayd/process/rate.h"

#define SECOND 1000000000ull

static void many_at_once_then_one_each(void **state)
{
	struct rate r = { .each_ns = SECOND, .burst = 3 };
	uint64_t now = 100 * SECOND;

	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&r, now));
	assert_false(rate_take(&r, now));
	assert_true(rate_next_ns(&r) == now + SECOND);
	assert_false(rate_take(&r, now + SECOND - 1));
	assert_true(rate_take(&r, now + SECOND));
	assert_false(rate_take(&r, now + SECOND));
	/* Not more than so many are saved up. */
	now += 1000 * SECOND;
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&r, now));
	assert_false(rate_take(&r, now));
}

static void begins_with_the_clock(void **state)
{
	struct rate r = { .each_ns = SECOND, .burst = 2 };

	assert_true(rate_take(&r, 0));
	assert_true(rate_take(&r, 0));
	assert_false(rate_take(&r, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_at_once_then_one_each),
		cmocka_unit_test(begins_with_the_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
