/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <errno.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/fmt.h"
#include "base/hex.h"
#include "engine/core/event.h"
#include "engine/replay.h"
#include "formats/batch.h"

#define ARENA_SIZE (1u << 20) /* what a trusted application has */

struct fixture {
	struct assay_crypto_openssl *openssl;
	struct assay_ports ports;
	struct assay_arena arena, policies;
	void *memory, *policy_memory;
	struct assay_core_config config;
	struct assay_core *core;
	uint8_t *list;
	size_t len, cap, reserve; /* bytes */
};

static int append(void *ctx, struct assay_bytes record, bool reserve)
{
	struct fixture *f = ctx;

	if (f->len + record.len + (reserve ? 0 : f->reserve) > f->cap)
		return -ENOSPC;
	memcpy(f->list + f->len, record.data, record.len);
	f->len += record.len;
	return 0;
}

static const struct assay_append_ops append_ops = { append };

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(assay_crypto_openssl_new(&f->openssl, NULL), 0);
	f->cap = 1u << 20;
	f->reserve = 1u << 10;
	f->list = malloc(f->cap);
	f->memory = malloc(ARENA_SIZE);
	f->policy_memory = malloc(ARENA_SIZE);
	assay_arena_init(&f->arena, f->memory, ARENA_SIZE);
	assay_arena_init(&f->policies, f->policy_memory, ARENA_SIZE);
	f->ports = (struct assay_ports){ .crypto = assay_crypto_openssl_port(f->openssl),
					 .append = { &append_ops, f } };
	f->config = (struct assay_core_config){
		.hash = ASSAY_HASH_SHA256,
		.pcr = 10,
		.banks = { .alg = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, .n = 2 }
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assay_core_done(f->core);
	assay_crypto_openssl_free(f->openssl);
	free(f->list);
	free(f->memory);
	free(f->policy_memory);
	free(f);
	return 0;
}

static const struct assay_policy *compile(struct fixture *f, const char *text)
{
	struct assay_policy_text *parsed = assay_arena_alloc(&f->policies, 1, sizeof(*parsed));
	const struct assay_policy *policy;

	assert_int_equal(assay_policy_parse(assay_bytes_str(text), NULL, &f->policies, parsed,
					    NULL),
			 0);
	assert_int_equal(assay_policy_compile(parsed, &f->policies, &policy), 0);
	return policy;
}

static void begin(struct fixture *f, const char *policy)
{
	assert_int_equal(assay_core_new(&f->arena, &f->ports, &f->config, &f->core, NULL), 0);
	if (policy)
		assert_int_equal(assay_core_set_policy(f->core, compile(f, policy), NULL), 0);
}

/* The file of the fact sheet's vectors: digest 00..1f, /usr/bin/true. */
static struct assay_facts a_file(void)
{
	struct assay_facts facts = { .have = ~0u,
				     .match = { .hook = ASSAY_HOOK_FILE_CHECK,
						.mask = ASSAY_MAY_READ },
				     .path = assay_bytes_str("/usr/bin/true"),
				     .digest = { .alg = ASSAY_HASH_SHA256 } };

	for (uint8_t i = 0; i < 32; i++)
		facts.digest.data[i] = i;
	return facts;
}

static struct assay_decision judge(struct fixture *f, const struct assay_facts *facts)
{
	struct assay_decision d = { 0 };

	assert_int_equal(assay_event(f->core, facts, &d, NULL), 0);
	assert_int_equal(d.verdict, ASSAY_ALLOW);
	return d;
}

/* Replays what was appended from PCRs at zero. */
static struct assay_replay *replay(struct fixture *f)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_rd in = assay_rd(assay_bytes(f->list, f->len));
	struct assay_record record;
	struct assay_replay *r;
	struct assay_step step;
	bool is_step;

	assert_int_equal(assay_replay_new(&f->ports.crypto, &f->config.banks, NULL, &r), 0);
	while (!assay_rd_end(&in)) {
		uint64_t at = assay_rd_offset(&in);

		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		assert_int_equal(assay_replay_record(r, &record, at, &is_step, &step, NULL), 0);
	}
	return r;
}

static void assert_pcr(struct assay_replay *r, unsigned bank, const char *hex)
{
	struct assay_pcr_value value;
	char text[2 * ASSAY_HASH_SIZE_MAX + 1];

	assay_replay_pcr(r, 10, ASSAY_EXTEND_REAL, &value);
	assay_hex_encode(assay_bytes(value.value[bank], strlen(hex) / 2), text);
	assert_string_equal(text, hex);
}

/* PCR values that were computed apart from this code, with Python's hashlib. */
static void entry_and_violation_are_the_kernels(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();
	struct assay_replay *r;
	uint64_t index;

	begin(f, "measure func=FILE_CHECK\n");
	assert_int_equal(judge(f, &facts).n_new, 1);
	r = replay(f);
	assert_pcr(r, 0, "9fb02264e4f5b8ceb251fac67df956ed58999a1f");
	assert_pcr(r, 1, "2d141cbd4fc585d16f1fc38bffda5e93cb33c15317b53f21d53b4fe51a98455e");
	assay_replay_free(r);
	assert_int_equal(assay_core_violation(f->core, facts.path, &index, NULL), 0);
	assert_int_equal(index, 1);
	assert_int_equal(assay_core_violations(f->core), 1);
	r = replay(f);
	assert_pcr(r, 1, "47bef0ab3b2e32ae1c329400b45acc37f0b2eae8f6a8e87a54c32480b637165a");
	assay_replay_free(r);
}

static void buffer_is_the_kernels(void **state)
{
	static const char sha1[] = "4acd0829f613e135a238d21dd262ad8e53c080a7";
	struct fixture *f = *state;
	char text[41];

	begin(f, NULL);
	assert_int_equal(assay_core_buffer(f->core, 10, "selinux-state",
					   assay_bytes_str("enforcing=1;"), NULL, NULL),
			 0);
	assay_hex_encode(assay_bytes(f->list + 4, 20), text);
	assert_string_equal(text, sha1);
}

static void equal_entries_are_written_once_a_pcr(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();
	struct assay_decision d;

	begin(f, "measure func=FILE_CHECK fowner=11 pcr=11\nmeasure func=FILE_CHECK\n");
	assert_int_equal(judge(f, &facts).n_new, 1);
	d = judge(f, &facts);
	assert_int_equal(d.n_new, 0);
	assert_int_equal(d.wait_for, 0);
	facts.match.fowner = 11;
	d = judge(f, &facts);
	assert_int_equal(d.n_new, 1);
	assert_int_equal(d.wait_for, 1);
	facts.match.fowner = 0;
	facts.open_writers = true; /* a violation each time, and no second entry */
	d = judge(f, &facts);
	assert_int_equal(d.n_new, 1);
	assert_int_equal(d.wait_for, 2);
	assert_int_equal(judge(f, &facts).wait_for, 3);
	assert_int_equal(assay_core_records(f->core), 4);
}

/* Whoever asks with little is told what is missing, and nothing happens. */
static void missing_facts_are_named(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();
	struct assay_decision d;

	f->config.template = assay_bytes_str("d-ng|n-ng|iuid");
	begin(f, "dont_measure fsmagic=0x9fa0\nmeasure func=FILE_CHECK uid=0\n"
		 "measure func=MMAP_CHECK digest_type=verity template=ima-ngv2\n");
	facts.have = 0;
	d = judge(f, &facts);
	assert_int_equal(d.need & (ASSAY_FACT_SUBJECT | ASSAY_FACT_FS),
			 ASSAY_FACT_SUBJECT | ASSAY_FACT_FS);
	facts.have = d.need;
	d = judge(f, &facts);
	assert_int_equal(d.need & ~(uint32_t)ASSAY_FACT_OWNER, ASSAY_FACT_PATH | ASSAY_FACT_DIGEST);
	facts.have |= d.need | ASSAY_FACT_OWNER;
	assert_int_equal(judge(f, &facts).n_new, 1);
	facts.match.hook = ASSAY_HOOK_MMAP_CHECK;
	d = judge(f, &facts);
	assert_int_equal(d.need, ASSAY_FACT_VERITY);
	facts.have |= d.need;
	d = judge(f, &facts); /* the file has no fs-verity digest */
	assert_int_equal(d.n_new, 0);
	facts.verity = facts.digest;
	assert_int_equal(judge(f, &facts).n_new, 1);
	facts.match.hook = ASSAY_HOOK_FILE_CHECK;
	facts.match.fs.magic = 0x9fa0;
	facts.have = ASSAY_FACT_SUBJECT | ASSAY_FACT_FS | ASSAY_FACT_OWNER;
	d = judge(f, &facts);
	assert_int_equal(d.need, 0);
	assert_true(d.holds_for_all);
	assert_true(d.wait_for == ASSAY_NO_RECORD);
	assert_int_equal(assay_core_records(f->core), 2);
}

static void first_sight_decides_what_holds(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();

	facts.match.subject.uid = 1000;
	begin(f, "measure func=FILE_CHECK uid=0\n");
	assert_int_equal(judge(f, &facts).n_new, 0);
	assert_false(judge(f, &facts).holds_for_all);
	facts.match.any_subject = true;
	assert_int_equal(judge(f, &facts).n_new, 1);
	assert_true(judge(f, &facts).holds_for_all);
	/* Somebody's would go to another PCR: there is no answer for everybody. */
	assert_int_equal(assay_core_set_policy(f->core,
					       compile(f, "measure func=FILE_CHECK uid=0 pcr=11\n"
							  "measure func=FILE_CHECK\n"),
					       NULL),
			 0);
	facts.digest.data[0]++;
	assert_int_equal(judge(f, &facts).n_new, 1);
	assert_false(judge(f, &facts).holds_for_all);
	assert_int_equal(judge(f, &facts).match.opts & ASSAY_OPT_PCR, 0);
}

/* No one answer is right for everybody: each opener gets his own, and no mark. */
static void first_sight_gives_way_where_openers_differ(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();

	facts.match.subject.uid = 1000;
	facts.match.any_subject = true;
	begin(f, "measure func=FILE_CHECK uid=0 pcr=11\nmeasure func=FILE_CHECK gid=77\n");
	assert_int_equal(judge(f, &facts).n_new, 0);
	assert_false(judge(f, &facts).holds_for_all);
	facts.match.subject.uid = 0;
	assert_int_equal(judge(f, &facts).n_new, 1);
}

/* What depends on who it is is done, and asked again for the next. */
static void who_is_not_seen_is_measured(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();

	facts.match.unseen_subject = true;
	begin(f, "measure func=FILE_CHECK uid=1000 pcr=11\n");
	assert_int_equal(judge(f, &facts).n_new, 1);
	assert_int_equal(judge(f, &facts).match.pcr, 11);
	assert_false(judge(f, &facts).holds_for_all);
}

static void what_only_another_mask_would_audit_is_not_marked(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();

	facts.match.any_subject = true;
	begin(f, "measure func=FILE_CHECK mask=^MAY_READ uid=0\n"
		 "audit func=FILE_CHECK mask=MAY_WRITE\n");
	assert_int_equal(judge(f, &facts).n_new, 1);
	assert_false(judge(f, &facts).holds_for_all);
}

static void unreadable_is_measured_as_zeros(void **state)
{
	static const uint8_t zeros[32];
	struct fixture *f = *state;
	struct assay_facts facts = a_file();

	begin(f, "measure func=FILE_CHECK\n");
	facts.unreadable = true;
	facts.have = ~0u ^ ASSAY_FACT_DIGEST;
	assert_int_equal(judge(f, &facts).n_new, 1);
	assert_non_null(memmem(f->list, f->len, zeros, sizeof(zeros)));
}

static void policy_that_cannot_be_written_is_refused(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();
	struct assay_err err;

	begin(f, "measure func=FILE_CHECK\n");
	assert_int_equal(
		assay_core_set_policy(f->core,
				      compile(f, "measure func=MMAP_CHECK\n"
						 "measure func=FILE_CHECK template=ima-sig\n"),
				      &err),
		-EOPNOTSUPP);
	assert_int_equal(err.line, 2);
	assert_non_null(strstr(err.text, "'sig'"));
	assert_int_equal(assay_core_set_policy(f->core,
					       compile(f, "measure func=FILE_CHECK pcr=24\n"),
					       &err),
			 -EOPNOTSUPP);
	assert_int_equal(err.line, 1);
	assert_int_equal(judge(f, &facts).n_new, 1); /* the one of before is in force */
	assert_int_equal(assay_core_check_policy(&f->config, compile(f, "measure\n"), &err), 0);
	assert_int_equal(assay_core_check_policy(&f->config,
						 compile(f, "measure\nmeasure pcr=24\n"), &err),
			 -EOPNOTSUPP);
	assert_int_equal(err.line, 2);
	f->config.template = assay_bytes_str("ima-sig");
	assert_int_equal(assay_core_check_policy(&f->config, compile(f, "measure\n"), &err),
			 -EOPNOTSUPP);
	assert_int_equal(assay_core_new(&f->arena, &f->ports, &f->config, &f->core, &err),
			 -EOPNOTSUPP);
}

static void boot_aggregate_takes_the_right_bank(void **state)
{
	struct assay_pcr_value values[ASSAY_PCRS];
	uint8_t pcrs[10 * 32], digest[32];
	struct fixture *f = *state;

	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		memset(values[p].value, (int)p + 1, sizeof(values[p].value));
	begin(f, NULL);
	assert_int_equal(assay_core_boot_aggregate(f->core, values, NULL, NULL), 0);
	for (uint32_t p = 0; p < 10; p++)
		memset(pcrs + 32 * p, (int)p + 1, 32);
	f->ports.crypto.ops->hash(f->ports.crypto.ctx, ASSAY_HASH_SHA256, assay_bytes(pcrs, 320),
				  digest);
	assert_non_null(memmem(f->list, f->len, digest, 32));
	f->len = 0; /* only sha1: PCR 0 to 7 */
	f->config.banks = (struct assay_banks){ .alg = { ASSAY_HASH_SHA1 }, .n = 1 };
	assay_core_done(f->core);
	begin(f, NULL);
	assert_int_equal(assay_core_boot_aggregate(f->core, values, NULL, NULL), 0);
	for (uint32_t p = 0; p < 8; p++)
		memset(pcrs + 20 * p, (int)p + 1, 20);
	f->ports.crypto.ops->hash(f->ports.crypto.ctx, ASSAY_HASH_SHA1, assay_bytes(pcrs, 160),
				  digest);
	assert_non_null(memmem(f->list, f->len, digest, 20));
	assert_int_equal(assay_core_boot_aggregate(f->core, NULL, NULL, NULL), 0);
}

static void batches_cover_and_replay(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();
	struct assay_replay *r;
	uint64_t index;

	begin(f, "measure func=FILE_CHECK fowner=11 pcr=11\nmeasure func=FILE_CHECK\n");
	assert_int_equal(assay_core_set_batching(f->core, ASSAY_BATCHING_GROUP, "group", NULL), 0);
	for (uint32_t i = 0; i < 40; i++) {
		facts.digest.data[0] = (uint8_t)i;
		facts.match.fowner = i % 3 ? 0 : 11;
		facts.open_writers = i % 7 == 0;
		judge(f, &facts);
		if (i % 10 != 9)
			continue;
		assert_int_equal(assay_core_pending(f->core), 1u << 10 | 1u << 11);
		assert_int_equal(assay_core_set_batching(f->core, ASSAY_BATCHING_EACH, "each",
							 NULL),
				 -EBUSY);
		assert_int_equal(assay_core_commit(f->core, 10, &index, NULL), 0);
		assert_int_equal(assay_core_commit(f->core, 11, &index, NULL), 0);
		assert_int_equal(index + 1, assay_core_records(f->core));
	}
	assert_int_equal(assay_core_pending(f->core), 0);
	assert_int_equal(assay_core_set_batching(f->core, ASSAY_BATCHING_EACH, "each", NULL), 0);
	r = replay(f);
	assert_int_equal(assay_replay_batches(r), 8);
	assert_int_equal(assay_replay_pending(r), 0);
	assay_replay_free(r);
}

/* A full list takes no event, but batch and gap records out of its reserve; then it goes on. */
static void full_list_keeps_a_reserve(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();
	struct assay_decision d;
	struct assay_replay *r;
	uint64_t records;

	begin(f, "measure func=FILE_CHECK\n");
	assert_int_equal(assay_core_set_batching(f->core, ASSAY_BATCHING_GROUP, "group", NULL), 0);
	judge(f, &facts);
	f->cap = f->len + f->reserve;
	facts.digest.data[0]++;
	records = assay_core_records(f->core);
	assert_int_equal(assay_event(f->core, &facts, &d, NULL), -ENOSPC);
	assert_int_equal(assay_core_records(f->core), records);
	assert_int_equal(assay_core_gap(f->core, assay_bytes_str("v=1;event=list-full;"), NULL,
					NULL),
			 0);
	assert_int_equal(assay_core_commit(f->core, 10, NULL, NULL), 0);
	f->cap = f->len; /* not even a batch record: it is kept until there is room */
	assert_int_equal(assay_core_gap(f->core, assay_bytes_str("v=1;event=list-full;"), NULL,
					NULL),
			 -ENOSPC);
	f->cap = f->len + 10000;
	judge(f, &facts);
	f->cap = f->len;
	assert_int_equal(assay_core_commit(f->core, 10, NULL, NULL), -ENOSPC);
	f->cap = f->len + 10000;
	assert_int_equal(assay_core_commit(f->core, 10, NULL, NULL), 0);
	r = replay(f);
	assert_int_equal(assay_replay_pending(r), 0);
	assay_replay_free(r);
}

/* What is read back behaves as what was written: duplicates, mode, pending batch. */
static void restored_core_goes_on(void **state)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct fixture *f = *state;
	struct assay_facts facts = a_file();
	struct assay_record record;
	struct assay_replay *r;
	struct assay_rd in;

	begin(f, "measure func=FILE_CHECK\n");
	assert_int_equal(assay_core_set_batching(f->core, ASSAY_BATCHING_GROUP, "group", NULL), 0);
	for (uint8_t i = 0; i < 4; i++) {
		facts.digest.data[0] = i;
		judge(f, &facts);
		if (i == 1)
			assert_int_equal(assay_core_commit(f->core, 10, NULL, NULL), 0);
	}
	assay_core_done(f->core);
	begin(f, "measure func=FILE_CHECK\n");
	in = assay_rd(assay_bytes(f->list, f->len));
	for (unsigned i = 0; !assay_rd_end(&in); i++) {
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		assert_int_equal(assay_core_restore(f->core, &record, i >= 4, NULL), 0);
	}
	for (uint8_t i = 0; i < 4; i++) {
		facts.digest.data[0] = i;
		assert_int_equal(judge(f, &facts).n_new, 0);
	}
	facts.digest.data[0] = 99;
	assert_int_equal(judge(f, &facts).wait_for, 6);
	assert_int_equal(assay_core_commit(f->core, 10, NULL, NULL), 0);
	r = replay(f);
	assert_int_equal(assay_replay_pending(r), 0);
	assert_int_equal(assay_replay_batches(r), 2);
	assay_replay_free(r);
}

/* Out of memory, known files are recorded again: nothing is lost. */
static void runs_in_a_small_arena(void **state)
{
	struct fixture *f = *state;
	struct assay_facts facts = a_file();
	char path[32];

	begin(f, "measure func=FILE_CHECK\n");
	f->cap = 0; /* the list is elsewhere */
	f->len = f->reserve = 0;
	free(f->list);
	f->cap = 64u << 20;
	f->list = malloc(f->cap);
	for (uint32_t i = 0; i < 60000; i++) {
		assay_fmt(path, sizeof(path), "/f/%u", i);
		facts.path = assay_bytes_str(path);
		assert_int_equal(judge(f, &facts).n_new, 1);
	}
	facts.path = assay_bytes_str("/f/7");
	assert_int_equal(judge(f, &facts).n_new, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(entry_and_violation_are_the_kernels),
		TEST(buffer_is_the_kernels),
		TEST(equal_entries_are_written_once_a_pcr),
		TEST(missing_facts_are_named),
		TEST(first_sight_decides_what_holds),
		TEST(first_sight_gives_way_where_openers_differ),
		TEST(who_is_not_seen_is_measured),
		TEST(what_only_another_mask_would_audit_is_not_marked),
		TEST(unreadable_is_measured_as_zeros),
		TEST(policy_that_cannot_be_written_is_refused),
		TEST(boot_aggregate_takes_the_right_bank),
		TEST(batches_cover_and_replay),
		TEST(full_list_keeps_a_reserve),
		TEST(restored_core_goes_on),
		TEST(runs_in_a_small_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
