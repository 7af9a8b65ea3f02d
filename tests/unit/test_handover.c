/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one assayd believes of another, and what is held back in between. */
#include "unit/test.h"

#include <errno.h>

#include "programs/assayd/main/handover_msg.h"
#include "programs/assayd/main/held.h"

static const struct handover_group group = {
	.tells_errors = true, .events = 7, .lost = 2, .held_ns = 1ull << 40, .past = 3
};

static void group_comes_back(void **state)
{
	uint8_t body[64];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct handover_group got;

	handover_group_encode(&group, &w);
	assert_int_equal(w.len, 28);
	assert_int_equal(handover_group_decode(assay_wr_done(&w), &got), 0);
	assert_true(got.tells_errors);
	assert_int_equal(got.events, 7);
	assert_int_equal(got.lost, 2);
	assert_true(got.held_ns == group.held_ns && got.past == 3);
	for (size_t cut = 0; cut < w.len; cut++)
		assert_int_equal(handover_group_decode(assay_bytes(body, cut), &got), -EBADMSG);
	assert_int_equal(handover_group_decode(assay_bytes(body, w.len + 1), &got), -EBADMSG);
}

static void group_has_limits(void **state)
{
	uint8_t body[64];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct handover_group g = group, got;

	g.events = HANDOVER_EVENTS_MAX + 1;
	handover_group_encode(&g, &w);
	assert_int_equal(handover_group_decode(assay_wr_done(&w), &got), -EBADMSG);
	body[0] = 2;
	assert_int_equal(handover_group_decode(assay_wr_done(&w), &got), -EBADMSG);
}

static int decode_one(struct handover_event e, uint32_t floor, struct handover_event *ret)
{
	struct handover_event all[HANDOVER_ONCE];
	uint8_t body[64];
	struct assay_wr w = assay_wr(body, sizeof(body));
	int r;

	handover_event_encode(&e, &w);
	assert_int_equal(w.len, 20);
	r = handover_events_decode(assay_wr_done(&w), 1, floor, all);
	if (r == 0)
		*ret = all[0];
	for (size_t cut = 0; cut < w.len; cut++)
		assert_int_equal(handover_events_decode(assay_bytes(body, cut), 1, floor, all),
				 -EBADMSG);
	assert_int_equal(handover_events_decode(assay_wr_done(&w), 2, floor, all), -EBADMSG);
	assert_int_equal(handover_events_decode(assay_wr_done(&w), 0, floor, all), -EBADMSG);
	return r;
}

static void events_have_their_numbers(void **state)
{
	const struct handover_event e = {
		.number = 99, .tid = 4711, .exec = true, .arrived_ns = 5
	};
	struct handover_event got, other = e;

	assert_int_equal(decode_one(e, 100, &got), 0);
	assert_true(got.number == 99 && got.tid == 4711 && got.exec && got.arrived_ns == 5);
	assert_int_equal(decode_one(e, 99, &got), -EBADMSG);
	other.number = 2; /* stderr */
	assert_int_equal(decode_one(other, 100, &got), -EBADMSG);
	other = e;
	other.tid = -1;
	assert_int_equal(decode_one(other, 100, &got), -EBADMSG);
}

static void floor_has_limits(void **state)
{
	static const struct {
		uint32_t floor;
		int result;
	} t[] = { { 3, -EBADMSG }, { 4, 0 }, { 4096, 0 }, { 4097, -EBADMSG } };

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		uint8_t body[4];
		struct assay_wr w = assay_wr(body, sizeof(body));
		uint32_t got = 0;

		assay_wr_u32(&w, t[i].floor);
		assert_int_equal(handover_floor_decode(assay_wr_done(&w), &got), t[i].result);
		assert_int_equal(got, t[i].result ? 0 : t[i].floor);
	}
}

static void held_by_age(void **state)
{
	struct held h;
	struct held_event e = { 0 };

	assert_int_equal(held_init(&h, 2), 0);
	assert_int_equal(held_room(&h), 2);
	assert_true(held_put(&h, &(struct held_event){ .event.fd = 8, .arrived_ns = 30 }));
	assert_true(held_put(&h, &(struct held_event){ .event.fd = 9, .arrived_ns = 20 }));
	assert_false(held_put(&h, &(struct held_event){ .event.fd = 10 }));
	assert_int_equal(held_room(&h), 0);
	assert_false(held_take(&h, 20, &e));
	assert_true(held_take(&h, 21, &e));
	assert_int_equal(e.event.fd, 9);
	assert_false(held_take(&h, 21, &e));
	assert_true(held_take(&h, UINT64_MAX, &e));
	assert_int_equal(e.event.fd, 8);
	held_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(group_comes_back),
		cmocka_unit_test(group_has_limits),
		cmocka_unit_test(events_have_their_numbers),
		cmocka_unit_test(floor_has_limits),
		cmocka_unit_test(held_by_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
