/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <errno.h>

#include "base/macros.h"
#include "formats/batch.h"

#define B(s) assay_bytes((s), sizeof(s) - 1)

static struct assay_bytes golden(uint8_t buf[static ASSAY_BATCH_SIZE_MAX])
{
	struct assay_batch b = { .sequence = 7, .first = 0x0102030405060708, .count = 9 };
	struct assay_wr w = assay_wr(buf, ASSAY_BATCH_SIZE_MAX);

	b.n_banks = 2;
	b.digest[0].alg = ASSAY_HASH_SHA1;
	b.digest[1].alg = ASSAY_HASH_SHA256;
	memset(b.digest[0].data, 0xaa, 20);
	memset(b.digest[1].data, 0xbb, 32);
	assay_batch_encode(&b, &w);
	assert_true(assay_wr_ok(&w));
	return assay_wr_done(&w);
}

static void test_bytes_are_as_documented(void **state)
{
	uint8_t buf[ASSAY_BATCH_SIZE_MAX];
	struct assay_bytes out = golden(buf);

	assert_int_equal(out.len, 32 + 24 + 36);
	assert_memory_equal(buf, "ABAT\1\0\2\0\7\0\0\0\0\0\0\0\x08\7\6\5\4\3\2\1\x09\0\0\0\0\0\0\0",
			    32);
	assert_memory_equal(buf + 32, "\4\0\x14\0\xaa", 5);
	assert_memory_equal(buf + 56, "\x0b\0\x20\0\xbb", 5);
}

static void test_cut_or_longer_is_refused(void **state)
{
	uint8_t buf[ASSAY_BATCH_SIZE_MAX];
	struct assay_bytes out = golden(buf);
	struct assay_batch b;

	for (size_t len = 0; len < out.len; len++)
		assert_int_equal(assay_batch_parse(assay_bytes(buf, len), &b, NULL), -EBADMSG);
	assert_int_equal(assay_batch_parse(assay_bytes(buf, out.len + 1), &b, NULL), -EBADMSG);
}

/* Any flipped bit is refused or changes what is parsed: nothing in the record is ignored. */
static void test_every_bit_counts(void **state)
{
	uint8_t buf[ASSAY_BATCH_SIZE_MAX], again[ASSAY_BATCH_SIZE_MAX];
	struct assay_bytes out = golden(buf);

	for (size_t bit = 0; bit < out.len * 8; bit++) {
		struct assay_wr w = assay_wr(again, sizeof(again));
		struct assay_batch b;

		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (assay_batch_parse(out, &b, NULL) == 0) {
			assay_batch_encode(&b, &w);
			assert_true(assay_bytes_equal(assay_wr_done(&w), out));
		}
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_banks_twice_and_unknown(void **state)
{
	uint8_t buf[ASSAY_BATCH_SIZE_MAX];
	struct assay_bytes out = golden(buf);
	struct assay_batch b;

	buf[4] = 2;
	assert_int_equal(assay_batch_parse(out, &b, NULL), -EOPNOTSUPP);
	golden(buf);
	buf[32] = 0x7f;
	assert_int_equal(assay_batch_parse(out, &b, NULL), -EOPNOTSUPP);
	golden(buf);
	memcpy(buf + 56, buf + 32, 24);
	assert_int_equal(assay_batch_parse(assay_bytes(buf, 80), &b, NULL), -EBADMSG);
}

static void test_head_of_a_covered_record(void **state)
{
	uint8_t buf[ASSAY_BATCH_HEAD_MAX];
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	assay_batch_head(10, B("ima-ng"), true, 0x105, &w);
	assert_true(assay_bytes_equal(assay_wr_done(&w), B("\x0a\0\0\0\6\0\0\0ima-ng\1\5\1\0\0")));
}

static void test_state_text(void **state)
{
	static const char *const keys[] = { "v", "event", "path", "n", "digest", "none" };
	char buf[200];
	struct assay_wr w = assay_wr(buf, sizeof(buf));
	struct assay_bytes out, key, value;

	assay_state_begin(&w, "start");
	assay_state_add(&w, "path", B("/a b;c=d\\e\n\x80"));
	assay_state_add_u64(&w, "n", UINT64_MAX);
	assay_state_add_hex(&w, "digest", B("\x01\xff"));
	assay_state_add(&w, "none", B(""));
	out = assay_wr_done(&w);
	assert_true(assay_bytes_is(out, "v=1;event=start;path=/a b\\x3bc\\x3dd\\x5ce\\x0a\\x80;"
					"n=18446744073709551615;digest=01ff;none=;"));
	assert_int_equal(assay_state_check(out, NULL), 0);
	assert_true(assay_bytes_is(assay_state_get(out, "event"), "start"));
	assert_true(assay_bytes_is(assay_state_get(out, "digest"), "01ff"));
	assert_null(assay_state_get(out, "absent").data);
	assert_non_null(assay_state_get(out, "none").data);
	for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
		assert_true(assay_state_next(&out, &key, &value));
		assert_true(assay_bytes_is(key, keys[i]));
	}
	assert_false(assay_state_next(&out, &key, &value));
}

static int check_keys(unsigned n)
{
	uint8_t buf[ASSAY_STATE_SIZE_MAX];
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	assay_state_begin(&w, "x");
	for (unsigned i = 2; i < n; i++)
		assay_wr_fmt(&w, "k%u=;", i);
	return assay_state_check(assay_wr_done(&w), NULL);
}

static void test_state_refusals(void **state)
{
	static const char *const bad[] = {
		"",
		"v=1;",
		"v=1;event=",
		"v=1;event=;",
		"v=1;event=x",
		"v=1;event=x;k",
		"v=1;event=x;k=a=b;",
		"v=1;event=x;K=a;",
		"v=1;event=x;=a;",
		"v=1;event=x;event=y;",
		"v=1;event=x;k=\\x41;",
		"v=1;event=x;k=\\x3B;",
		"v=1;event=x;k=\\x3;",
		"v=1;event=x;k=\n;",
		"v=1;event=x;;",
		"event=x;v=1;",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(assay_state_check(assay_bytes_str(bad[i]), NULL), -EBADMSG);
	assert_int_equal(assay_state_check(B("v=2;event=x;"), NULL), -EOPNOTSUPP);
	assert_int_equal(check_keys(ASSAY_STATE_KEYS_MAX), 0);
	assert_int_equal(check_keys(ASSAY_STATE_KEYS_MAX + 1), -E2BIG);
	assert_true(assay_state_is(B("v=2;event=x;")));
	assert_false(assay_state_is(B("0\x82\3\4;v=1;event=x;")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_are_as_documented),
		cmocka_unit_test(test_cut_or_longer_is_refused),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_banks_twice_and_unknown),
		cmocka_unit_test(test_head_of_a_covered_record),
		cmocka_unit_test(test_state_text),
		cmocka_unit_test(test_state_refusals),
	};
	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
