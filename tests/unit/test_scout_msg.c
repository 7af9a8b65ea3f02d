/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scout's messages: what is written is read, and nothing else is. */
#include "unit/test.h"

#include <errno.h>

#include "programs/assayd/scout/scout_msg.h"

static const struct scout_mount example = {
	.place = { .ns = 4026532281, .id = 77 },
	.dev = 0x1234567890,
	.flags = SCOUT_OURS | SCOUT_LAYER,
	.error = 16,
	.point = "/run/user/1000/a \\ b",
	.type = "ramfs",
};

static struct assay_bytes encode(uint8_t *space, size_t size)
{
	struct assay_wr w = assay_wr(space, size);

	scout_mount_encode(&example, &w);
	assert_true(assay_wr_ok(&w));
	return assay_wr_done(&w);
}

static void a_mount_comes_back(void **state)
{
	uint8_t space[512];
	struct assay_bytes body = encode(space, sizeof(space));
	struct scout_mount m;

	assert_int_equal(scout_mount_parse(body, &m), 0);
	assert_true(m.place.ns == example.place.ns && m.place.id == example.place.id);
	assert_true(m.dev == example.dev && m.error == example.error);
	assert_int_equal(m.flags, example.flags);
	assert_string_equal(m.point, example.point);
	assert_string_equal(m.type, example.type);
	for (size_t len = 0; len < body.len; len++)
		assert_int_equal(scout_mount_parse(assay_bytes(space, len), &m), -EBADMSG);
	space[body.len] = 0;
	assert_int_equal(scout_mount_parse(assay_bytes(space, body.len + 1), &m), -EBADMSG);
}

/* Any bit: refused, or strings within their room. */
static void changed_bits_stay_within_bounds(void **state)
{
	uint8_t space[512];
	struct assay_bytes body = encode(space, sizeof(space));
	struct scout_mount m;

	for (size_t bit = 0; bit < 8 * body.len; bit++) {
		space[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (scout_mount_parse(body, &m) == 0)
			assert_true(strnlen(m.point, sizeof(m.point)) < sizeof(m.point) &&
				    strnlen(m.type, sizeof(m.type)) < sizeof(m.type));
		space[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void names_have_limits(void **state)
{
	uint8_t space[1024];
	struct assay_wr w = assay_wr(space, sizeof(space));
	struct scout_mount m;

	assay_wr_zero(&w, 28);
	assay_wr_u32(&w, SCOUT_POINT_MAX); /* no room for its NUL */
	for (unsigned i = 0; i < SCOUT_POINT_MAX; i++)
		assay_wr_u8(&w, 'a');
	assay_wr_field(&w, assay_bytes_str("ramfs"));
	assert_int_equal(scout_mount_parse(assay_wr_done(&w), &m), -EBADMSG);
	w = assay_wr(space, sizeof(space));
	assay_wr_zero(&w, 28);
	assay_wr_field(&w, assay_bytes("a\0b", 3));
	assay_wr_field(&w, assay_bytes_str("ramfs"));
	assert_int_equal(scout_mount_parse(assay_wr_done(&w), &m), -EBADMSG);
}

static void places_and_sums_come_back(void **state)
{
	static struct scout_place in[SCOUT_SKIP_MAX + 1], out[SCOUT_SKIP_MAX];
	static uint8_t space[12 * (SCOUT_SKIP_MAX + 1)];
	struct scout_summary sum = { .namespaces = 3, .filesystems = 9 }, sum_out;
	struct assay_wr w = assay_wr(space, sizeof(space));
	uint32_t n;

	for (uint32_t i = 0; i <= SCOUT_SKIP_MAX; i++)
		in[i] = (struct scout_place){ .ns = 1ull << 33 | i, .id = i + 7 };
	scout_skips_encode(in, SCOUT_SKIP_MAX, &w);
	assert_int_equal(scout_skips_parse(assay_wr_done(&w), out, &n), 0);
	assert_int_equal(n, SCOUT_SKIP_MAX);
	assert_true(out[255].ns == in[255].ns && out[255].id == in[255].id);
	assert_int_equal(scout_skips_parse(assay_bytes(space, w.len - 1), out, &n), -EBADMSG);
	scout_place_encode(&in[SCOUT_SKIP_MAX], &w);
	assert_int_equal(scout_skips_parse(assay_wr_done(&w), out, &n), -E2BIG);
	w = assay_wr(space, sizeof(space));
	scout_summary_encode(&sum, &w);
	assert_int_equal(scout_summary_parse(assay_wr_done(&w), &sum_out), 0);
	assert_int_equal(sum_out.filesystems, 9);
	assert_int_equal(scout_summary_parse(assay_bytes(space, 7), &sum_out), -EBADMSG);
	assert_int_equal(scout_place_parse(assay_bytes(space, 8), out), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mount_comes_back),
		cmocka_unit_test(changed_bits_stay_within_bounds),
		cmocka_unit_test(names_have_limits),
		cmocka_unit_test(places_and_sums_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
