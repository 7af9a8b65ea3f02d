/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <errno.h>

#include "engine/core/dedup.h"

#define FILES	   1000000u
#define ARENA_SIZE (160u << 20)

/* Any mixing will do: splitmix64. */
static struct assay_bytes digest_of(uint64_t i, uint8_t to[static 32])
{
	for (unsigned k = 0; k < 4; k++) {
		uint64_t z = (i * 4 + k + 1) * 0x9e3779b97f4a7c15ull;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
		z ^= z >> 31;
		memcpy(to + 8 * k, &z, 8);
	}
	return assay_bytes(to, 32);
}

static void million_files_cost_under_200_bytes_each(void **state)
{
	void *memory = malloc(ARENA_SIZE);
	struct assay_arena arena;
	struct assay_dedup d;
	uint8_t buf[32];
	uint32_t index;

	assay_arena_init(&arena, memory, ARENA_SIZE);
	assay_dedup_init(&d, &arena);
	for (uint32_t i = 0; i < FILES; i++) {
		if (i % 997 == 0)
			assert_false(assay_dedup_find(&d, 10, digest_of(i, buf), &index));
		assert_int_equal(assay_dedup_add(&d, 10, digest_of(i, buf), i), 0);
	}
	for (uint32_t i = 0; i < FILES; i += 101) {
		assert_true(assay_dedup_find(&d, 10, digest_of(i, buf), &index));
		assert_int_equal(index, i);
		assert_false(assay_dedup_find(&d, 11, digest_of(i, buf), &index));
	}
	assert_true(arena.used / FILES < 200);
	free(memory);
}

static void keys_are_padded_and_cut(void **state)
{
	static uint8_t memory[1 << 16];
	struct assay_arena arena;
	struct assay_dedup d;
	uint8_t a[64] = { 1 }, b[64] = { 1 };
	uint32_t index;

	assay_arena_init(&arena, memory, sizeof(memory));
	assay_dedup_init(&d, &arena);
	assert_false(assay_dedup_find(&d, 0, assay_bytes(a, 20), &index));
	assert_int_equal(assay_dedup_add(&d, 0, assay_bytes(a, 20), 7), 0);
	b[19] = 1;
	assert_false(assay_dedup_find(&d, 0, assay_bytes(b, 20), &index));
	assert_true(assay_dedup_find(&d, 0, assay_bytes(a, 20), &index));
	assert_int_equal(index, 7);
	assert_int_equal(assay_dedup_add(&d, 63, assay_bytes(a, 64), 8), 0);
	b[19] = 0;
	b[26] = 1; /* the last byte that counts */
	assert_false(assay_dedup_find(&d, 63, assay_bytes(b, 64), &index));
}

static void full_arena_refuses_and_keeps(void **state)
{
	static uint8_t memory[40 << 10];
	struct assay_arena arena;
	struct assay_dedup d;
	uint8_t buf[32];
	uint32_t index, n = 0;

	assay_arena_init(&arena, memory, sizeof(memory));
	assay_dedup_init(&d, &arena);
	while (assay_dedup_add(&d, 10, digest_of(n, buf), n) == 0)
		n++;
	assert_true(n > 500);
	assert_int_equal(assay_dedup_add(&d, 10, digest_of(n, buf), n), -ENOMEM);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(assay_dedup_find(&d, 10, digest_of(i, buf), &index));
		assert_int_equal(index, i);
	}
	assert_false(assay_dedup_find(&d, 10, digest_of(n, buf), &index));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(million_files_cost_under_200_bytes_each),
		cmocka_unit_test(keys_are_padded_and_cut),
		cmocka_unit_test(full_arena_refuses_and_keeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
