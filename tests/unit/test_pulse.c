/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When the service manager is told that loop and reader live, and when status says that they do
 * not.
 */
#include "unit/test.h"

#include "programs/assayd/main/pulse.h"

#define SECOND 1000000000ull

static bool pulse_beat(struct pulse *p, uint64_t turns, uint64_t now)
{
	bool beats = pulse_has_turned(p, turns, now);

	if (beats)
		pulse_ask(p, turns, now);
	return beats;
}

static void who_turns_lives(void **state)
{
	struct pulse p = { 0 };
	uint64_t now = 100 * SECOND;

	assert_true(pulse_beat(&p, 0, now)); /* it is asked for the first time */
	for (uint64_t turns = 1; turns < 100; turns++) {
		now += SECOND;
		assert_false(pulse_is_stuck(&p, turns, now));
		assert_true(pulse_beat(&p, turns, now));
		assert_false(pulse_is_stuck(&p, turns, now));
	}
}

static void who_stands_still_does_not(void **state)
{
	struct pulse p = { 0 };
	uint64_t now = 100 * SECOND, asked = now;

	assert_false(pulse_is_stuck(&p, 7, now)); /* it was never asked */
	assert_true(pulse_beat(&p, 7, now));
	for (unsigned i = 0; i < 100; i++) {
		now += SECOND / 2;
		assert_false(pulse_beat(&p, 7, now));
		assert_int_equal(pulse_is_stuck(&p, 7, now), now - asked > PULSE_STUCK_NS);
	}
	assert_false(pulse_is_stuck(&p, 8, now)); /* and lives again */
	assert_true(pulse_beat(&p, 8, now));
	assert_false(pulse_is_stuck(&p, 8, now));
}

/* What was seen of it counts, and not how long nobody looked. */
static void who_stands_for_good_has_ended(void **state)
{
	struct pulse p = { 0 };
	uint64_t now = 100 * SECOND;

	assert_false(pulse_has_ended(&p, true, 7, now));
	assert_true(pulse_beat(&p, 7, now));
	for (unsigned i = 0; i < 20; i++)
		assert_false(pulse_has_ended(&p, true, 7, now += SECOND));
	assert_true(pulse_has_ended(&p, true, 7, now += SECOND));
	assert_false(pulse_has_ended(&p, true, 8, now += SECOND)); /* it turns */
	assert_false(pulse_has_ended(&p, true, 7, now += 100 * SECOND));
	for (unsigned i = 0; i < 100; i++) /* it is not to */
		assert_false(pulse_has_ended(&p, false, 7, now += SECOND));
}

/* The other one stands, so that nobody is asked: that is no sign against who turned when he was. */
static void who_is_not_asked_again_lives(void **state)
{
	struct pulse p = { 0 };
	uint64_t now = 100 * SECOND;

	assert_true(pulse_beat(&p, 7, now));
	for (unsigned i = 0; i < 100; i++) {
		now += SECOND;
		assert_true(pulse_has_turned(&p, 8, now));
		assert_false(pulse_is_stuck(&p, 8, now));
		assert_false(pulse_has_ended(&p, true, 8, now));
	}
}

static void is_not_asked_often(void **state)
{
	struct pulse p = { 0 };
	unsigned asked = 0;

	for (unsigned ms = 0; ms < 10000; ms++)
		asked += pulse_beat(&p, ms, SECOND + ms * 1000000ull);
	assert_int_equal(asked, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_turns_lives),
		cmocka_unit_test(who_stands_still_does_not),
		cmocka_unit_test(who_stands_for_good_has_ended),
		cmocka_unit_test(who_is_not_asked_again_lives),
		cmocka_unit_test(is_not_asked_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
