/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every place that a PCR can be at, and every disagreement: the decision is one of three. */
#include "unit/test.h"

#include <errno.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/fmt.h"
#include "engine/core/event.h"
#include "engine/recover.h"
#include "formats/batch.h"

#define STEPS_MAX 64

struct fixture {
	struct assay_crypto_openssl *openssl;
	struct assay_crypto crypto;
	void *memory;
	uint8_t list[1 << 16];
	size_t len;
	struct assay_segment_head head;
	struct assay_pcr_value value[2][STEPS_MAX + 1]; /* of PCR 10 and 11, after n steps */
	uint64_t steps[2];
	struct assay_pcr_value observed[ASSAY_PCRS];
	struct assay_tpm_clock clock;
};

static int append(void *ctx, struct assay_bytes record, bool reserve)
{
	struct fixture *f = ctx;

	(void)reserve;
	memcpy(f->list + f->len, record.data, record.len);
	f->len += record.len;
	return 0;
}

static const struct assay_append_ops append_ops = { append };

/* A list with both modes, two PCRs, violations and batches. */
static void write_list(struct fixture *f)
{
	struct assay_ports ports = { .crypto = f->crypto, .append = { &append_ops, f } };
	struct assay_core_config config = { .hash = ASSAY_HASH_SHA256,
					    .pcr = 10,
					    .banks = f->head.banks };
	struct assay_arena arena;
	struct assay_core *core;
	uint64_t index;
	char text[16];

	assay_arena_init(&arena, f->memory, 1 << 20);
	assert_int_equal(assay_core_new(&arena, &ports, &config, &core, NULL), 0);
	for (uint32_t i = 0; i < 24; i++) {
		if (i == 6)
			assert_int_equal(assay_core_set_batching(core, ASSAY_BATCHING_GROUP,
								 "group", NULL),
					 0);
		assay_fmt(text, sizeof(text), "n%u", i);
		assert_int_equal(assay_core_buffer(core, 10 + i % 2, text, assay_bytes_str(text),
						   NULL, NULL),
				 0);
		if (i % 5 == 0)
			assay_core_violation(core, assay_bytes_str("/v"), &index, NULL);
		if (i > 6 && i % 4 == 3) {
			assert_int_equal(assay_core_commit(core, 10, NULL, NULL), 0);
			assert_int_equal(assay_core_commit(core, 11, NULL, NULL), 0);
		}
	}
	assay_core_done(core);
}

/* The values that each PCR takes, by the replay. */
static void learn_values(struct fixture *f)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_rd in = assay_rd(assay_bytes(f->list, f->len));
	struct assay_record record;
	struct assay_replay *r;
	struct assay_step step;
	bool is_step;

	assert_int_equal(assay_replay_new(&f->crypto, &f->head.banks, f->head.base, &r), 0);
	for (unsigned i = 0; i < 2; i++)
		f->value[i][0] = f->head.base[10 + i];
	while (!assay_rd_end(&in)) {
		uint64_t at = assay_rd_offset(&in);

		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		assert_int_equal(assay_replay_record(r, &record, at, &is_step, &step, NULL), 0);
		if (is_step)
			assay_replay_pcr(r, step.pcr, ASSAY_EXTEND_REAL,
					 &f->value[step.pcr - 10][++f->steps[step.pcr - 10]]);
	}
	assay_replay_free(r);
	assert_true(f->steps[0] > 8 && f->steps[1] > 5);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(assay_crypto_openssl_new(&f->openssl, NULL), 0);
	f->crypto = assay_crypto_openssl_port(f->openssl);
	f->memory = malloc(1 << 20);
	f->clock = f->head.clock = (struct assay_tpm_clock){ .reset_count = 5, .restart_count = 2 };
	f->head.banks =
		(struct assay_banks){ .alg = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, .n = 2 };
	memset(f->head.base[11].value[0], 0x11, 20); /* somebody was there before us */
	memset(f->head.base[11].value[1], 0x22, 32);
	write_list(f);
	learn_values(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assay_crypto_openssl_free(f->openssl);
	free(f->memory);
	free(f);
	return 0;
}

static struct assay_recover_plan decide(struct fixture *f)
{
	struct assay_recover_input in = { .head = &f->head,
					  .records = assay_bytes(f->list, f->len),
					  .banks = f->head.banks,
					  .observed = f->observed,
					  .clock = f->clock };
	struct assay_recover_plan plan = { 0 };
	struct assay_replay *replay = NULL;

	assert_int_equal(assay_recover_decide(&f->crypto, &in, &plan, &replay, NULL), 0);
	assay_replay_free(replay);
	return plan;
}

static void at(struct fixture *f, uint64_t n10, uint64_t n11)
{
	f->observed[10] = f->value[0][n10];
	f->observed[11] = f->value[1][n11];
}

static void every_place_is_found(void **state)
{
	struct fixture *f = *state;

	for (uint64_t a = 0; a <= f->steps[0]; a++)
		for (uint64_t b = 0; b <= f->steps[1]; b++) {
			struct assay_recover_plan plan;

			at(f, a, b);
			plan = decide(f);
			assert_int_equal(plan.verdict, ASSAY_RECOVER_CONTINUE);
			assert_int_equal(plan.pcr[10].found, a);
			assert_int_equal(plan.pcr[11].found, b);
			assert_int_equal(plan.missing, f->steps[0] - a + f->steps[1] - b);
			assert_int_equal(plan.pcr[10].steps, f->steps[0]);
		}
}

/* Banks at different steps, of either PCR: never CONTINUE. */
static void banks_that_disagree_break(void **state)
{
	struct fixture *f = *state;

	for (uint64_t a = 0; a <= f->steps[0]; a++)
		for (uint64_t b = 0; b <= f->steps[0]; b++) {
			struct assay_recover_plan plan;

			if (a == b)
				continue;
			at(f, a, f->steps[1]);
			memcpy(f->observed[10].value[1], f->value[0][b].value[1], 32);
			plan = decide(f);
			assert_int_equal(plan.verdict, ASSAY_RECOVER_BROKEN);
			assert_non_null(strstr(plan.why, "PCR 10"));
		}
}

/* Any single bit of any bank that the list does not explain. */
static void foreign_values_break(void **state)
{
	struct fixture *f = *state;

	for (unsigned bit = 0; bit < (20 + 32) * 8; bit += 3) {
		uint8_t *bank = f->observed[11].value[bit / 8 >= 20];

		at(f, f->steps[0], f->steps[1]);
		bank[bit / 8 >= 20 ? bit / 8 - 20 : bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(decide(f).verdict, ASSAY_RECOVER_BROKEN);
	}
}

static void zero(struct fixture *f)
{
	memset(f->observed, 0, sizeof(f->observed));
}

/* Back at zero with changed counts is a reset; the same without is not explained. */
static void resets_begin_a_segment(void **state)
{
	struct fixture *f = *state;

	zero(f);
	assert_int_equal(decide(f).verdict, ASSAY_RECOVER_BROKEN);
	f->clock.restart_count = 3;
	assert_int_equal(decide(f).verdict, ASSAY_RECOVER_RESET);
	f->clock.restart_count = 0;
	f->clock.reset_count = 6;
	assert_int_equal(decide(f).verdict, ASSAY_RECOVER_RESET);
	/* The firmware or the kernel was there since the reset. */
	memset(f->observed[10].value, 0x77, sizeof(f->observed[10].value));
	assert_int_equal(decide(f).verdict, ASSAY_RECOVER_RESET);
	/* After a restart that could be anybody's. */
	f->clock = f->head.clock;
	f->clock.restart_count = 3;
	assert_int_equal(decide(f).verdict, ASSAY_RECOVER_BROKEN);
}

/* A resume keeps the PCRs: every place is found as ever. One PCR kept and one at zero is neither.
 */
static void resume_goes_on(void **state)
{
	struct fixture *f = *state;
	struct assay_recover_plan plan;

	f->clock.restart_count = 3;
	for (uint64_t a = 1; a <= f->steps[0]; a++) {
		at(f, a, f->steps[1]);
		plan = decide(f);
		assert_int_equal(plan.verdict, ASSAY_RECOVER_CONTINUE);
		assert_true(plan.counts_changed);
	}
	memset(f->observed[11].value, 0, sizeof(f->observed[11].value));
	assert_int_equal(decide(f).verdict, ASSAY_RECOVER_BROKEN);
}

static void other_banks_break_or_reset(void **state)
{
	struct fixture *f = *state;
	struct assay_recover_input in = { .head = &f->head,
					  .records = assay_bytes(f->list, f->len),
					  .banks = { .alg = { ASSAY_HASH_SHA256 }, .n = 1 },
					  .observed = f->observed,
					  .clock = f->clock };
	struct assay_recover_plan plan;
	struct assay_replay *replay;

	assert_int_equal(assay_recover_decide(&f->crypto, &in, &plan, &replay, NULL), 0);
	assert_null(replay);
	assert_int_equal(plan.verdict, ASSAY_RECOVER_BROKEN);
	in.clock.reset_count++;
	assert_int_equal(assay_recover_decide(&f->crypto, &in, &plan, &replay, NULL), 0);
	assert_int_equal(plan.verdict, ASSAY_RECOVER_RESET);
}

static void list_that_does_not_replay_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct assay_recover_input in = { .head = &f->head,
					  .records = assay_bytes(f->list, f->len),
					  .banks = f->head.banks,
					  .observed = f->observed,
					  .clock = f->clock };
	struct assay_replay *replay = NULL;
	struct assay_recover_plan plan;

	f->list[6] ^= 1; /* a template digest */
	assert_true(assay_recover_decide(&f->crypto, &in, &plan, &replay, NULL) < 0);
	f->list[6] ^= 1;
	f->list[0] = ASSAY_RECORD_PCR_MAX; /* which no TPM has */
	assert_int_equal(assay_recover_decide(&f->crypto, &in, &plan, &replay, NULL), -EBADMSG);
	assert_null(replay);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_place_is_found),
		TEST(banks_that_disagree_break),
		TEST(foreign_values_break),
		TEST(resets_begin_a_segment),
		TEST(resume_goes_on),
		TEST(other_banks_break_or_reset),
		TEST(list_that_does_not_replay_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
