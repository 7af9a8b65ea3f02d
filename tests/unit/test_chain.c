/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How segments follow each other: what is right follows, and each thing that is not is named. */
#include "engine/chain.h"

#include "base/macros.h"
#include "unit/test.h"

#define N 5

struct chain {
	struct assay_segment_head head[N];
	struct assay_chain_segment s[N];
};

/* First; a restart in the same boot; broken; a reset; another. */
static void build(struct chain *c)
{
	static const enum assay_segment_start start[N] = { ASSAY_SEGMENT_FIRST, ASSAY_SEGMENT_RESET,
							   ASSAY_SEGMENT_BROKEN,
							   ASSAY_SEGMENT_RESET,
							   ASSAY_SEGMENT_RESET };
	static const struct assay_tpm_clock clock[N] = {
		{ 100, 7, 1, true },  { 200, 7, 2, true }, { 200, 7, 2, true },
		{ 150, 8, 0, false }, { 300, 9, 0, true },
	};
	static const uint8_t boot[N] = { 1, 1, 1, 2, 3 };

	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < N; i++) {
		struct assay_segment_head *h = &c->head[i];

		*h = (struct assay_segment_head){ .number = i + 1,
						  .start = start[i],
						  .clock = clock[i],
						  .boot_id = { boot[i] },
						  .banks = { { ASSAY_HASH_SHA256 }, 1 } };
		c->s[i] = (struct assay_chain_segment){ .head = h,
							.len = 1000 + i,
							.digest = { (uint8_t)(i + 1) },
							.vouched = true,
							.pcrs = 1u << 10 };
		h->base[0].value[0][0] = 0x77; /* the firmware's: no entries of ours */
		if (i == 0)
			continue;
		h->previous[0] = (uint8_t)i;
		h->previous_len = 1000 + i - 1;
	}
	c->head[2].base[10].value[0][3] = 1; /* what was seen */
}

/* The first that does not follow; N: all do. */
static size_t judge(const struct chain *c, uint64_t first, struct assay_chain_finding *ret)
{
	size_t at = 0;

	while (at < N && assay_chain_judge(c->s, at, first, ret))
		at++;
	return at;
}

static void test_follows(void **state)
{
	struct assay_chain_finding f;
	struct chain c;

	build(&c);
	assert_int_equal(judge(&c, 1, &f), N);
	assert_int_equal(f.fault, ASSAY_CHAIN_FOLLOWS);
	assert_int_equal(judge(&c, 0, &f), N);
	c.head[3].base[10].value[0][0] = 5; /* the kernel was first: told elsewhere */
	assert_int_equal(judge(&c, 1, &f), N);
	for (unsigned i = 0; i < 3; i++) /* a TPM came later */
		c.head[i].banks.n = 0;
	c.head[0].clock.reset_count = 99;
	assert_int_equal(judge(&c, 1, &f), N);
}

struct fault {
	size_t at;
	enum assay_chain_fault fault;
	const char *text;
};

static void assert_fault(const struct chain *c, const struct fault *want)
{
	struct assay_chain_finding f;
	size_t at = judge(c, 1, &f);

	if (at != want->at || f.fault != want->fault || !strstr(f.why, want->text))
		fail_msg("segment %zu: %s: '%s'; not %zu: '%s'", at,
			 at < N ? assay_chain_fault_name(f.fault) : "", f.why, want->at,
			 want->text);
}

static void bend(struct chain *c, unsigned i)
{
	switch (i) {
	case 0:
		c->head[0].number = 2;
		break;
	case 1:
		c->head[2].number = 5;
		break;
	case 2:
		c->head[3].number = 3;
		break;
	case 3:
		c->head[3].start = ASSAY_SEGMENT_FIRST;
		break;
	case 4:
		c->head[0].start = ASSAY_SEGMENT_RESET;
		break;
	case 5:
		c->head[0].previous_len = 1;
		break;
	case 6:
		c->s[1].len--;
		break;
	case 7:
		c->s[1].len++;
		break;
	case 8:
		c->s[2].digest[31] ^= 1;
		break;
	case 9:
		c->head[3].clock.reset_count = 6;
		break;
	case 10:
		c->head[1].clock.restart_count = 0;
		break;
	case 11:
		c->head[2].clock.clock = 199;
		break;
	case 12:
		c->head[1].clock = c->head[0].clock;
		break;
	case 13:
		c->head[4].boot_id[0] = 1;
		break;
	case 14:
		c->head[1].base[10].value[0][31] = 1;
		break;
	case 15:
		c->s[4].vouched = false;
		break;
	case 16:
		c->head[0].previous[4] = 1;
		break;
	}
}

static void test_faults(void **state)
{
	static const struct fault faults[] = {
		{ 0, ASSAY_CHAIN_MISSING, "segment 1, before it, is missing" },
		{ 2, ASSAY_CHAIN_MISSING, "segments 3 to 4, before it, are missing" },
		{ 3, ASSAY_CHAIN_ORDER, "it stands behind segment 3" },
		{ 3, ASSAY_CHAIN_START, "says that it is the first, and has number 4" },
		{ 0, ASSAY_CHAIN_START, "it is not the first, and has number 1" },
		{ 0, ASSAY_CHAIN_START, "names one before it" },
		{ 2, ASSAY_CHAIN_CUT, "has 1000 bytes of records, and had 1001" },
		{ 2, ASSAY_CHAIN_LONGER, "it was added to" },
		{ 3, ASSAY_CHAIN_CHANGED, "segment 3 is not the one" },
		{ 3, ASSAY_CHAIN_COUNTS, "went back from 7 resets, 2 restarts" },
		{ 1, ASSAY_CHAIN_COUNTS, "went back from 7 resets, 1 restarts" },
		{ 2, ASSAY_CHAIN_COUNTS, "went back from 7 resets, 2 restarts, 200 ms" },
		{ 1, ASSAY_CHAIN_COUNTS, "counted no reset since segment 1" },
		{ 4, ASSAY_CHAIN_BOOT, "of the boot of segment 1" },
		{ 1, ASSAY_CHAIN_BASE, "PCR 10 of bank sha256" },
		{ 4, ASSAY_CHAIN_UNVOUCHED, "names its head" },
		{ 0, ASSAY_CHAIN_START, "names one before it" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(faults); i++) {
		struct chain c;

		build(&c);
		bend(&c, i);
		assert_fault(&c, &faults[i]);
	}
}

static void test_where_it_begins(void **state)
{
	struct assay_chain_finding f;
	struct chain c;

	build(&c);
	for (uint64_t first = 1; first <= N; first++)
		for (size_t at = 0; at < N; at++) {
			bool good = assay_chain_judge(c.s + at, 0, first, &f);

			assert_int_equal(good, at + 1 == first);
			if (!good)
				assert_int_equal(f.fault, at + 1 > first ? ASSAY_CHAIN_MISSING
									 : ASSAY_CHAIN_ORDER);
			assert_true(assay_chain_judge(c.s + at, 0, 0, &f));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_where_it_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
