/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both encodings byte for byte; tests/cli/test_log.sh reads whole logs back by another program. */
#include "unit/test.h"

#include "formats/cel.h"

#define B(s) assay_bytes((s), sizeof(s) - 1)

static const struct assay_banks banks = { { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, 2 };

static struct assay_cel golden(void)
{
	static struct assay_pcr_value digests;
	struct assay_cel c = { .recnum = 0x0102030405060708,
			       .pcr = 10,
			       .banks = &banks,
			       .digests = &digests,
			       .template_name = B("ima-ng"),
			       .template_data = B("\1\0\xfe") };

	memset(digests.value[0], 0x11, 20);
	memset(digests.value[1], 0x22, 32);
	return c;
}

static void test_tlv(void **state)
{
	static const char want[] = "\0\0\0\0\x08\1\2\3\4\5\6\7\x08"
				   "\1\0\0\0\4\0\0\0\x0a"
				   "\3\0\0\0\x3e"
				   "\4\0\0\0\x14"
				   "\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"
				   "\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"
				   "\x0b\0\0\0\x20"
				   "\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22"
				   "\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22"
				   "\x22\x22\x22\x22\x22\x22"
				   "\7\0\0\0\x13"
				   "\0\0\0\0\6ima-ng"
				   "\1\0\0\0\3\1\0\xfe";
	struct assay_cel c = golden();
	uint8_t buf[512];
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	assay_cel_encode(&c, &w);
	assert_true(assay_bytes_equal(assay_wr_done(&w), B(want)));
	assert_true(w.len <= assay_cel_bound(&c));
	assert_false(w.big);
	for (size_t cap = 0; cap < w.len; cap++) {
		struct assay_wr small = assay_wr(buf, cap);

		assay_cel_encode(&c, &small);
		assert_false(assay_wr_ok(&small));
	}
}

static void test_json(void **state)
{
	struct assay_cel c = golden();
	char buf[1024];
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	assay_cel_print(&c, &w);
	assert_true(assay_bytes_is(
		assay_wr_done(&w),
		"{\"recnum\":72623859790382856,\"pcr\":10,\"digests\":["
		"{\"hashAlg\":\"sha1\",\"digest\":\"1111111111111111111111111111111111111111\"},"
		"{\"hashAlg\":\"sha256\",\"digest\":"
		"\"2222222222222222222222222222222222222222222222222222222222222222\"}],"
		"\"content_type\":\"ima_template\",\"content\":{\"template_name\":\"ima-ng\","
		"\"template_data\":\"0100fe\"}}"));
	assert_true(w.len <= assay_cel_bound(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tlv),
		cmocka_unit_test(test_json),
	};
	return cmocka_run_group_tests_name("cel", tests, NULL, NULL);
}
