/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a list: steps, batch records, modes, PCR values. */
#include "unit/crypto_fixture.h"

#include <errno.h>

#include "base/hex.h"
#include "engine/replay.h"
#include "unit/list_builder.h"

static const struct assay_banks banks = { { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, 2 };

#define STATE_GROUP "v=1;event=mode;mode=group;"
#define STATE_EACH  "v=1;event=mode;mode=each;"

/* Replays all of it; the error of the record where it stopped. */
static int replay(struct assay_replay *r, struct assay_bytes list, struct assay_err *err)
{
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_rd in = assay_rd(list);

	while (!assay_rd_end(&in)) {
		uint64_t offset = assay_rd_offset(&in);
		struct assay_record record;
		struct assay_step step;
		bool is_step;
		int error;

		error = assay_record_parse(&in, &form, &record, err);
		if (error == 0)
			error = assay_replay_record(r, &record, offset, &is_step, &step, err);
		if (error < 0)
			return error;
	}
	return 0;
}

static struct assay_replay *new_replay(void)
{
	struct assay_replay *r;

	assert_int_equal(assay_replay_new(&crypto, &banks, NULL, &r), 0);
	return r;
}

static void assert_list(const struct list_builder *b, int want, const char *text)
{
	AUTO(replay) struct assay_replay *r = new_replay();
	struct assay_err err = { 0 };

	assert_int_equal(replay(r, assay_wr_done(&b->w), &err), want);
	if (text && !strstr(err.text, text))
		fail_msg("'%s' is not in '%s'", text, err.text);
}

static void assert_pcr(const struct assay_replay *r, enum assay_extend_kind kind, uint32_t bank,
		       const char *want)
{
	struct assay_pcr_value v;
	char hex[129];

	assay_replay_pcr(r, 10, kind, &v);
	assay_hex_encode(assay_bytes(v.value[bank], assay_hash_size(banks.alg[bank])), hex);
	assert_string_equal(hex, want);
}

static void test_values_of_the_sheet(void **state)
{
	AUTO(replay) struct assay_replay *r = new_replay();
	struct assay_digest d = { .alg = ASSAY_HASH_SHA256 };
	struct assay_template_facts f = { .digest = &d, .name = assay_bytes_str("/usr/bin/true") };
	struct list_builder b;
	struct assay_err err;

	for (uint8_t i = 0; i < 32; i++)
		d.data[i] = i;
	builder_init(&b, &crypto);
	builder_record(&b, 10, "ima-ng", &f);
	assert_int_equal(replay(r, assay_wr_done(&b.w), &err), 0);
	assert_pcr(r, ASSAY_EXTEND_REAL, 0, "9fb02264e4f5b8ceb251fac67df956ed58999a1f");
	assert_pcr(r, ASSAY_EXTEND_REAL, 1,
		   "2d141cbd4fc585d16f1fc38bffda5e93cb33c15317b53f21d53b4fe51a98455e");
	assert_pcr(r, ASSAY_EXTEND_PADDED, 1,
		   "b720d55cdc75532d01afffc2ab1897ca32a11298cdf0e81433758e21d9877545");
	builder_init(&b, &crypto);
	builder_file(&b, 10, "/log", true);
	assert_int_equal(replay(r, assay_wr_done(&b.w), &err), 0);
	assert_pcr(r, ASSAY_EXTEND_REAL, 1,
		   "47bef0ab3b2e32ae1c329400b45acc37f0b2eae8f6a8e87a54c32480b637165a");
}

static void test_wrong_template_digest(void **state)
{
	struct list_builder b;

	builder_init(&b, &crypto);
	builder_file(&b, 10, "/a", false);
	builder_file(&b, 10, "/b", false);
	b.buf[b.last + 7] ^= 1;
	assert_list(&b, -EKEYREJECTED, "entry 1: template digest is not");
}

/* each, then group with two PCRs and a violation, then each again. */
static void build_modes(struct list_builder *b)
{
	builder_init(b, &crypto);
	builder_file(b, 10, "boot_aggregate", false);
	builder_state(b, STATE_GROUP);
	builder_wait(b);
	builder_file(b, 10, "/bin/sh", false);
	builder_file(b, 11, "/bin/eleven", false);
	builder_file(b, 10, "/log", true);
	builder_batch(b, 10);
	builder_state(b, "v=1;event=policy;");
	builder_batch(b, 11);
}

static void test_group_mode(void **state)
{
	AUTO(replay) struct assay_replay *r = new_replay();
	struct list_builder b;
	struct assay_err err;
	uint64_t first;

	build_modes(&b);
	assert_int_equal(replay(r, assay_wr_done(&b.w), &err), 0);
	assert_int_equal(assay_replay_records(r), 8);
	assert_int_equal(assay_replay_batches(r), 2);
	assert_int_equal(assay_replay_absent(r), 0);
	assert_int_equal(assay_replay_pending(r), 1);
	assert_int_equal(assay_replay_pending_pcr(r, 10, &first), 1);
	assert_int_equal(first, 6);
	assert_int_equal(assay_replay_mode(r), ASSAY_LIST_GROUP);

	builder_state(&b, STATE_EACH);
	assert_list(&b, -EBADMSG, "entry 8: the mode changes while 1 entries wait");
}

static void test_steps_of_group_mode(void **state)
{
	static const struct {
		bool is_step;
		enum assay_record_role role;
	} want[] = {
		{ true, ASSAY_ROLE_STEP },     { true, ASSAY_ROLE_STEP },
		{ false, ASSAY_ROLE_COVERED }, { false, ASSAY_ROLE_COVERED },
		{ false, ASSAY_ROLE_COVERED }, { true, ASSAY_ROLE_BATCH },
		{ false, ASSAY_ROLE_COVERED }, { true, ASSAY_ROLE_BATCH },
	};
	AUTO(replay) struct assay_replay *r = new_replay();
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct list_builder b;
	struct assay_rd in;

	build_modes(&b);
	in = assay_rd(assay_wr_done(&b.w));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		uint64_t offset = assay_rd_offset(&in);
		struct assay_record record;
		struct assay_step step;
		bool is_step;

		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		assert_int_equal(assay_replay_record(r, &record, offset, &is_step, &step, NULL), 0);
		assert_int_equal(is_step, want[i].is_step);
		assert_int_equal(assay_replay_role(r), want[i].role);
		if (!is_step)
			continue;
		assert_int_equal(step.index, i);
		assert_int_equal(step.upto, i + 1);
		assert_int_equal(step.offset, offset);
	}
}

/* Whether the replay finds fault with it, as a list of others or as our own. */
static bool finds_fault(const struct list_builder *b, bool own)
{
	AUTO(replay) struct assay_replay *r = new_replay();

	if (own)
		assay_replay_set_own(r);
	return replay(r, assay_wr_done(&b->w), NULL) < 0;
}

/* One record, which waits for its batch record. */
static void build_open_batch(struct list_builder *b)
{
	builder_init(b, &crypto);
	builder_state(b, STATE_GROUP);
	builder_wait(b);
	builder_file(b, 10, "/bin/sh", false);
}

/* Every bit of what a batch record covers counts, also what the kernel's format leaves open:
 * the data of a violation, the template's name. */
static void test_batch_protects_its_records(void **state)
{
	struct list_builder b;
	size_t from, to;

	build_open_batch(&b);
	builder_file(&b, 10, "/log", true);
	from = b.last;
	to = b.w.len;
	builder_batch(&b, 10);
	assert_list(&b, 0, NULL);
	assert_false(finds_fault(&b, true));
	for (size_t bit = from * 8; bit < to * 8; bit++) {
		b.buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(finds_fault(&b, false));
		assert_true(finds_fault(&b, true));
		b.buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* Of a list of others each bank's digest is looked at, of our own one. */
static void test_banks_of_a_batch(void **state)
{
	for (unsigned bank = 0; bank < 2; bank++) {
		struct assay_batch batch;
		struct list_builder b;

		build_open_batch(&b);
		batch = builder_batch_of(&b, 10);
		batch.digest[bank].data[0] ^= 1;
		builder_put_batch(&b, 10, &batch);
		assert_true(finds_fault(&b, false));
		assert_int_equal(finds_fault(&b, true),
				 batch.digest[bank].alg == ASSAY_HASH_SHA256);
	}
}

static void assert_batch(void (*change)(struct assay_batch *), int want, const char *text)
{
	struct assay_batch batch;
	struct list_builder b;

	build_open_batch(&b);
	batch = builder_batch_of(&b, 10);
	change(&batch);
	builder_put_batch(&b, 10, &batch);
	assert_list(&b, want, text);
}

static void first_one_less(struct assay_batch *b)
{
	b->first--;
}

static void count_one_more(struct assay_batch *b)
{
	b->count++;
}

static void sequence_one_more(struct assay_batch *b)
{
	b->sequence++;
}

static void fewer_banks(struct assay_batch *b)
{
	b->n_banks--;
}

static void another_bank(struct assay_batch *b)
{
	b->n_banks = 1;
	b->digest[0].alg = ASSAY_HASH_SHA512;
}

static void test_batch_says_what_it_covers(void **state)
{
	assert_batch(fewer_banks, 0, NULL);
	assert_batch(first_one_less, -EBADMSG, "covers 1 entries from 0 on, but 1 from 1 on");
	assert_batch(count_one_more, -EBADMSG, "covers 2 entries from 1 on, but 1 from 1 on");
	assert_batch(sequence_one_more, -EBADMSG, "batch record number 2 where 1 is due");
	assert_batch(another_bank, -EOPNOTSUPP, "for none of the banks");
}

static void test_batch_outside_group_mode(void **state)
{
	struct assay_batch batch = { .sequence = 1, .count = 1, .n_banks = 1 };
	struct list_builder b;

	batch.digest[0].alg = ASSAY_HASH_SHA1;
	builder_init(&b, &crypto);
	builder_put_batch(&b, 10, &batch);
	assert_list(&b, -EBADMSG, "outside mode 'group'");
}

/* A keyring may bear any name: what is measured then does not begin with the magic. */
static void test_names_alone_say_nothing(void **state)
{
	struct list_builder b;

	builder_init(&b, &crypto);
	builder_buffer(&b, 10, ASSAY_BATCH_NAME,
		       assay_bytes_str("0\x82"
				       "certificate"));
	builder_buffer(&b, 10, ASSAY_STATE_NAME,
		       assay_bytes_str("0\x82"
				       "certificate"));
	builder_buffer(&b, 10, "other", assay_bytes_str(STATE_GROUP));
	builder_file(&b, 10, ASSAY_BATCH_NAME, false);
	assert_list(&b, 0, NULL);
	builder_state(&b, "v=2;event=mode;mode=group;");
	assert_list(&b, -EOPNOTSUPP, "unknown version");
}

static void test_anchored_form(void **state)
{
	AUTO(replay) struct assay_replay *r = new_replay();
	struct assay_batch batch = { .sequence = 1, .first = 1, .count = 5, .n_banks = 1 };
	struct list_builder b;
	struct assay_err err;

	batch.digest[0].alg = ASSAY_HASH_SHA1;
	builder_init(&b, &crypto);
	builder_state(&b, STATE_GROUP);
	builder_put_batch(&b, 10, &batch);
	batch.sequence = 2;
	batch.first = 7;
	batch.count = 2;
	builder_put_batch(&b, 10, &batch);
	builder_file(&b, 10, "/of/the/kernel", false);
	assert_int_equal(replay(r, assay_wr_done(&b.w), &err), 0);
	assert_int_equal(assay_replay_absent(r), 7);
	assert_int_equal(assay_replay_pending(r), 0);
	batch.sequence = 3;
	batch.first = 8;
	builder_put_batch(&b, 10, &batch);
	assert_list(&b, -EBADMSG, "covered already");
}

static void test_half_a_flat_list(void **state)
{
	struct assay_batch batch = { .sequence = 2, .first = 3, .count = 1, .n_banks = 1 };
	struct list_builder b;

	batch.digest[0].alg = ASSAY_HASH_SHA1;
	build_open_batch(&b);
	builder_batch(&b, 10);
	builder_put_batch(&b, 10, &batch);
	assert_list(&b, -EBADMSG, "entry 3: batch record covers 1 entries that are not in");
}

/* The kernel measures while we wait: its records are announced, and steps. */
static void test_kernel_records_in_group_mode(void **state)
{
	AUTO(replay) struct assay_replay *r = new_replay();
	struct assay_digest d = { .alg = ASSAY_HASH_SHA1 };
	struct assay_template_facts f = { .digest = &d, .name = assay_bytes_str("/kernel's") };
	struct list_builder b;
	struct assay_err err;

	build_open_batch(&b);
	builder_state(&b, "v=1;event=kernel;count=2;");
	builder_record(&b, 10, "ima-sig", &f);
	d.data[0] = 1;
	builder_record(&b, 10, "ima-sig", &f);
	builder_file(&b, 10, "/bin/ls", false);
	builder_batch(&b, 10);
	assert_int_equal(replay(r, assay_wr_done(&b.w), &err), 0);
	assert_int_equal(assay_replay_pending(r), 0);
	builder_state(&b, "v=1;event=kernel;");
	assert_list(&b, -EBADMSG, "without a count");
}

/* Extends by hand. */
static void extend(uint8_t value[32], const uint8_t *digest, size_t len)
{
	uint8_t both[64] = { 0 };

	memcpy(both, value, 32);
	memcpy(both + 32, digest, len);
	assert_int_equal(crypto.ops->hash(crypto.ctx, ASSAY_HASH_SHA256, assay_bytes(both, 64),
					  value),
			 0);
}

/* A kernel pads, assayd does not, whatever the order. */
static void test_padding_is_the_kernels(void **state)
{
	static const bool of_kernel[] = { true, true, false, false, true, true };
	AUTO(replay) struct assay_replay *r = new_replay();
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	uint8_t padded[32] = { 0 }, padded_ff[32] = { 0 }, ff[32], digest[32];
	struct assay_pcr_value v;
	struct assay_record record;
	struct list_builder b;
	struct assay_err err;
	struct assay_rd in;

	memset(ff, 0xff, sizeof(ff));
	builder_init(&b, &crypto);
	builder_file(&b, 10, "/kernel", false);
	builder_file(&b, 10, "/kernel", true);
	builder_state(&b, "v=1;event=start;");
	builder_state(&b, "v=1;event=kernel;count=2;");
	builder_file(&b, 10, "/kernel", true);
	builder_file(&b, 10, "/kernel", false);
	in = assay_rd(assay_wr_done(&b.w));
	for (size_t i = 0; i < ARRAY_LEN(of_kernel); i++) {
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		assert_int_equal(assay_template_digest(&crypto, ASSAY_HASH_SHA256, &record, digest),
				 0);
		if (record.violation) {
			extend(padded, ff, 20);
			extend(padded_ff, ff, 32);
		} else if (of_kernel[i]) {
			extend(padded, record.template_digest.data, 20);
			extend(padded_ff, record.template_digest.data, 20);
		} else {
			extend(padded, digest, 32);
			extend(padded_ff, digest, 32);
		}
	}
	assert_int_equal(replay(r, assay_wr_done(&b.w), &err), 0);
	assay_replay_pcr(r, 10, ASSAY_EXTEND_PADDED, &v);
	assert_memory_equal(v.value[1], padded, 32);
	assay_replay_pcr(r, 10, ASSAY_EXTEND_PADDED_FF, &v);
	assert_memory_equal(v.value[1], padded_ff, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_of_the_sheet),
		cmocka_unit_test(test_wrong_template_digest),
		cmocka_unit_test(test_group_mode),
		cmocka_unit_test(test_steps_of_group_mode),
		cmocka_unit_test(test_batch_protects_its_records),
		cmocka_unit_test(test_banks_of_a_batch),
		cmocka_unit_test(test_batch_says_what_it_covers),
		cmocka_unit_test(test_batch_outside_group_mode),
		cmocka_unit_test(test_names_alone_say_nothing),
		cmocka_unit_test(test_anchored_form),
		cmocka_unit_test(test_half_a_flat_list),
		cmocka_unit_test(test_kernel_records_in_group_mode),
		cmocka_unit_test(test_padding_is_the_kernels),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
