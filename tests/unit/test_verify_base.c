/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a list begins: at values of a segment's head, which an entry must vouch for, and with a
 * boot_aggregate. */
#include "unit/crypto_fixture.h"

#include "base/hex.h"
#include "engine/boot.h"
#include "unit/verify_fixture.h"

/* A segment begins where PCRs are: its base takes the place of zero. */
static void test_base_values(void **state)
{
	struct assay_verify_config config = { .size = sizeof(config),
					      .crypto = crypto,
					      .form = plain };
	static struct assay_pcr_value base[ASSAY_PCRS];
	AUTO(verify) struct assay_verify *v = NULL;
	struct list_builder first, second;
	struct assay_pcr_finding f;
	struct claims c, before;

	builder_init(&first, &crypto);
	builder_file(&first, 10, "/a", false);
	replay_claims(&plain, assay_wr_done(&first.w), &before);
	builder_init(&second, &crypto);
	builder_file(&second, 10, "/b", false);
	builder_file(&first, 10, "/b", false);
	replay_claims(&plain, assay_wr_done(&first.w), &c);
	/* In another order than the claims have. */
	config.base_banks = (struct assay_banks){ { ASSAY_HASH_SHA256, ASSAY_HASH_SHA1 }, 2 };
	memcpy(base[10].value[0], before.claim[1].value, 32);
	memcpy(base[10].value[1], before.claim[0].value, 20);
	config.base = base;
	config.claims = c.claim;
	config.n_claims = 2;
	assert_int_equal(assay_verify_new(&config, &v, NULL), 0);
	assert_int_equal(walk(v, &plain, assay_wr_done(&second.w)), 0);
	assert_true(assay_verify_pcr(v, 10, &f));
	assert_int_equal(f.state, ASSAY_PCR_REACHED);
	assert_int_equal(f.uncovered, 0);
}

/* A record of the kernel's that was put before the entry that names the head: a PCR that has only
 * the first of the two says nothing of the second, which anybody can have written. */
static void test_head_behind_the_kernels_record(void **state)
{
	static const char head[32] = "a head of whoever wrote the file";
	struct assay_verify_config config = { .size = sizeof(config),
					      .crypto = crypto,
					      .form = plain,
					      .head = (const uint8_t *)head };
	AUTO(verify) struct assay_verify *v = NULL;
	struct assay_verify_summary s;
	struct list_builder real, forged;
	struct assay_pcr_finding f;
	struct claims c;
	char hex[65], text[160];

	builder_init(&real, &crypto);
	builder_file(&real, 10, "/kernel", false);
	replay_claims(&plain, assay_wr_done(&real.w), &c);
	assay_hex_encode(assay_bytes(head, sizeof(head)), hex);
	snprintf(text, sizeof(text), "v=1;event=segment;head=%s;", hex);
	builder_init(&forged, &crypto);
	builder_state(&forged, text);
	builder_state(&forged, "v=1;event=kernel;count=1;at=0;index=1;");
	builder_file(&forged, 10, "/kernel", false);
	config.claims = c.claim;
	config.n_claims = c.n;
	assert_int_equal(assay_verify_new(&config, &v, NULL), 0);
	assert_int_equal(walk(v, &plain, assay_wr_done(&forged.w)), 0);
	assert_true(assay_verify_pcr(v, 10, &f));
	assert_int_equal(f.state, ASSAY_PCR_REACHED);
	assert_int_equal(f.uncovered, 2);
	assay_verify_summary(v, &s);
	assert_true(s.head_said);
	assert_false(s.base_vouched);
}

/* An entry that no value proves does not say that its PCR, of those that boot_aggregate is of, was
 * extended since. */
static void test_boot_with_an_entry_behind(void **state)
{
	static struct assay_pcr_value base[ASSAY_PCRS];
	struct assay_verify_config config = { .size = sizeof(config),
					      .crypto = crypto,
					      .form = plain,
					      .base = base,
					      .base_banks = {
						      { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, 2 } };
	struct assay_boot said = { .placed = UINT64_MAX,
				   .pcr = 10,
				   .first = true,
				   .digest = { .alg = ASSAY_HASH_SHA256 } };
	AUTO(verify) struct assay_verify *v = NULL;
	struct assay_boot_finding f;
	struct list_builder b;
	struct claims c;

	builder_init(&b, &crypto);
	builder_file(&b, 10, "boot_aggregate", false);
	replay_claims(&plain, assay_wr_done(&b.w), &c);
	for (uint32_t p = 0; p < 10; p++) {
		memset(base[p].value[1], (int)p + 1, 32);
		add_claim(&c, ASSAY_HASH_SHA256, p, base[p].value[1]);
	}
	builder_file(&b, 3, "/x", false);
	config.claims = c.claim;
	config.n_claims = c.n;
	assert_int_equal(assay_verify_new(&config, &v, NULL), 0);
	assert_int_equal(walk(v, &plain, assay_wr_done(&b.w)), 0);
	assert_int_equal(assay_boot_judge(&crypto, v, c.claim, c.n, &said, 1, &f), 0);
	assert_int_equal(f.state, ASSAY_BOOT_DIFFERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base_values),
		cmocka_unit_test(test_head_behind_the_kernels_record),
		cmocka_unit_test(test_boot_with_an_entry_behind),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
