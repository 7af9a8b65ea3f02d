/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <errno.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "formats/segment.h"

#define FILE_SIZE (ASSAY_SEGMENT_RECORDS + 64)

struct golden {
	struct assay_crypto_openssl *openssl;
	struct assay_crypto crypto;
	struct assay_segment_hasher hasher;
	struct assay_segment_head head;
	uint8_t file[FILE_SIZE];
};

static int hash_sha256(void *ctx, struct assay_bytes in, uint8_t ret[static 32])
{
	const struct assay_crypto *crypto = ctx;

	return crypto->ops->hash(crypto->ctx, ASSAY_HASH_SHA256, in, ret);
}

static int setup(void **state)
{
	struct golden *g = calloc(1, sizeof(*g));
	struct assay_wr w = assay_wr(g->file, sizeof(g->file));

	assert_int_equal(assay_crypto_openssl_new(&g->openssl, NULL), 0);
	g->crypto = assay_crypto_openssl_port(g->openssl);
	g->hasher = (struct assay_segment_hasher){ hash_sha256, &g->crypto };
	g->head = (struct assay_segment_head){
		.number = 3,
		.created_ns = 123456789,
		.start = ASSAY_SEGMENT_BROKEN,
		.previous_len = 777,
		.clock = { .clock = 5, .reset_count = 6, .restart_count = 7, .safe = true },
		.banks = { .alg = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA512 }, .n = 2 },
	};
	memset(g->head.boot_id, 0xb0, sizeof(g->head.boot_id));
	memset(g->head.previous, 0xaa, sizeof(g->head.previous));
	for (unsigned p = 0; p < ASSAY_PCRS; p++) {
		memset(g->head.base[p].value[0], (int)p + 1, 20);
		memset(g->head.base[p].value[1], (int)p + 101, 64);
	}
	assert_int_equal(assay_segment_encode(&g->head, &g->hasher, &w), 0);
	g->file[ASSAY_SEGMENT_COMMIT] = 64;
	g->file[ASSAY_SEGMENT_COMMIT + 8] = 32;
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	struct golden *g = *state;

	assay_crypto_openssl_free(g->openssl);
	free(g);
	return 0;
}

static int parse(struct golden *g, size_t len, struct assay_segment_head *head,
		 struct assay_bytes *records, struct assay_err *err)
{
	return assay_segment_parse(assay_bytes(g->file, len), &g->hasher, head, records, err);
}

static void comes_back_as_it_was(void **state)
{
	struct assay_segment_commit commit;
	struct assay_segment_head head;
	struct assay_bytes records;
	struct golden *g = *state;

	assert_true(assay_segment_is(assay_bytes(g->file, FILE_SIZE)));
	assert_int_equal(parse(g, FILE_SIZE, &head, &records, NULL), 0);
	assert_memory_equal(&head, &g->head, sizeof(head));
	assert_ptr_equal(records.data, g->file + ASSAY_SEGMENT_RECORDS);
	assert_int_equal(records.len, 64);
	assert_int_equal(assay_segment_parse_commit(assay_bytes(g->file, FILE_SIZE), &commit, NULL),
			 0);
	assert_int_equal(commit.synced, 32);
}

/* In the head the checksum finds it; without it, nothing that must be zero is anything else. */
static void every_flip_is_found(void **state)
{
	struct assay_segment_head head;
	struct assay_bytes records;
	struct golden *g = *state;

	for (size_t bit = 0; bit < ASSAY_SEGMENT_HEAD_SIZE * 8ul; bit++) {
		if (bit / 8 > 600 && bit % 57) /* all of the numbers, some of the values */
			continue;
		g->file[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(parse(g, FILE_SIZE, &head, &records, NULL) < 0);
		g->file[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = ASSAY_SEGMENT_COMMIT * 8ul; bit < ASSAY_SEGMENT_RECORDS * 8ul; bit++) {
		int rc;

		g->file[bit / 8] ^= (uint8_t)(1u << bit % 8);
		rc = parse(g, FILE_SIZE, &head, &records, NULL);
		/* Counts and boot id may be any, but for more records than there are. */
		if (rc == 0)
			assert_true(records.len <= 64 && bit / 8 < ASSAY_SEGMENT_COMMIT + 32);
		g->file[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void every_truncation_is_found(void **state)
{
	struct assay_segment_head head;
	struct assay_bytes records;
	struct golden *g = *state;

	for (size_t len = 0; len < FILE_SIZE; len++) {
		uint8_t *cut = malloc(len ? len : 1); /* so that a read past it is seen */

		memcpy(cut, g->file, len);
		assert_int_equal(assay_segment_parse(assay_bytes(cut, len), NULL, &head, &records,
						     NULL),
				 -EBADMSG);
		free(cut);
	}
}

static void version_and_limits(void **state)
{
	struct assay_segment_head head;
	struct assay_bytes records;
	struct assay_err err;
	struct golden *g = *state;
	uint8_t small[100];
	struct assay_wr w = assay_wr(small, sizeof(small));

	assert_int_equal(assay_segment_encode(&g->head, &g->hasher, &w), -ENOSPC);
	g->file[8] = 2;
	assert_int_equal(parse(g, FILE_SIZE, &head, &records, &err), -EOPNOTSUPP);
	assert_int_equal(err.offset, 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(comes_back_as_it_was),
		TEST(every_flip_is_found),
		TEST(every_truncation_is_found),
		TEST(version_and_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
