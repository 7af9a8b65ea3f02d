/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A list walked by one, two or three threads is the list walked by a plain loop: the same records,
 * the same findings, the same first entry that cannot be right, whatever was done to it.
 *
 * With ASSAY_TEST_LONG=1 ten thousand kinds of damage; without, 150; a fifth of that under the
 * thread sanitizer.
 */
#include "unit/test.h"

#include <errno.h>
#include <sched.h>

#include "programs/assay/log.h"
#include "unit/list_builder.h"

#define BLOCKS	  8u   /* of a builder's buffer each */
#define RECORDS	  300u /* of a block: many chunks, and no multiple of them */
#define LIST_MAX  (BLOCKS << 16)
#define JOBS_MOST 3u

static struct assay_crypto crypto;
static uint8_t good[LIST_MAX], bad[LIST_MAX];
static size_t good_len;
static struct assay_pcr_claim claims[2] = { { .alg = ASSAY_HASH_SHA1, .pcr = 10 },
					    { .alg = ASSAY_HASH_SHA256, .pcr = 10 } };

struct outcome {
	int r;
	struct assay_err err;
	uint64_t taken, offsets; /* records that were given, and the sum of where they were */
	struct assay_verify_summary sum;
	struct assay_reach reach[2];
	bool columns;
};

struct walker {
	struct assay_verify *verify;
	atomic_bool waiting;
	struct outcome *out;
};

/* ---- two ways to walk ----------------------------------------------------------------------- */

static int take(void *ctx, const struct assay_record *record, uint64_t offset,
		struct assay_record_digests *digests, struct assay_err *err)
{
	struct walker *w = ctx;

	int r;

	w->out->taken++;
	w->out->offsets += offset;
	r = assay_verify_record(w->verify, record, offset, digests, err);
	atomic_store(&w->waiting,
		     assay_replay_mode(assay_verify_replay(w->verify)) == ASSAY_LIST_GROUP);
	return r;
}

/* What log_walk_run() must be equal to. */
static int walk_plainly(const struct log_walk *walk, struct assay_err *err)
{
	struct assay_checker checker = *walk->checker;
	struct assay_rd in = assay_rd(walk->list);
	int r = 0;

	for (uint64_t i = 0; r == 0 && !assay_rd_end(&in); i++) {
		uint64_t offset = assay_rd_offset(&in);
		struct assay_record_digests digests;
		struct assay_record record;
		struct assay_err why = { 0 };

		r = assay_record_parse(&in, &checker.form, &record, &why);
		if (r < 0)
			return assay_err_at(err, r, why.offset, "entry %llu: %s",
					    (unsigned long long)i, why.text);
		r = assay_checker_digests(&checker, &record, &digests, &why);
		if (r < 0)
			return assay_err_at(err, r, offset, "entry %llu: %s", (unsigned long long)i,
					    why.text);
		r = walk->record(walk->ctx, &record, offset, &digests, err);
	}
	return r;
}

static void walk_list(struct assay_bytes list, unsigned jobs, bool quick, struct outcome *out)
{
	struct assay_verify_config config = { .size = sizeof(config),
					      .crypto = crypto,
					      .form = { .column = ASSAY_HASH_SHA1 },
					      .claims = claims,
					      .n_claims = ARRAY_LEN(claims),
					      .quick = quick };
	struct walker w = { .out = out };
	struct log_walk walk = {
		.list = list, .jobs = jobs, .waiting = &w.waiting, .record = take, .ctx = &w
	};
	struct assay_pcr_finding found;

	memset(out, 0, sizeof(*out));
	assert_int_equal(assay_verify_new(&config, &w.verify, NULL), 0);
	walk.checker = assay_verify_checker(w.verify);
	out->r = jobs ? log_walk_run(&walk, &out->err) : walk_plainly(&walk, &out->err);
	assay_verify_summary(w.verify, &out->sum);
	out->columns = assay_verify_columns(w.verify);
	assert_true(assay_verify_pcr(w.verify, 10, &found));
	for (uint32_t i = 0; i < found.n_claims; i++)
		out->reach[i] = found.reach[i];
	assay_verify_free(w.verify);
}

static void assert_equal(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->r, b->r);
	assert_int_equal(a->err.code, b->err.code);
	assert_string_equal(a->err.text, b->err.text);
	assert_int_equal(a->err.offset, b->err.offset);
	assert_int_equal(a->taken, b->taken);
	assert_int_equal(a->offsets, b->offsets);
	assert_int_equal(a->columns, b->columns);
	assert_int_equal(a->sum.entries, b->sum.entries);
	assert_int_equal(a->sum.batches, b->sum.batches);
	assert_int_equal(a->sum.violations, b->sum.violations);
	assert_int_equal(a->sum.uncovered, b->sum.uncovered);
	assert_int_equal(a->sum.all_reached, b->sum.all_reached);
	for (unsigned i = 0; i < ARRAY_LEN(claims); i++) {
		assert_int_equal(a->reach[i].reached, b->reach[i].reached);
		assert_int_equal(a->reach[i].index, b->reach[i].index);
		assert_int_equal(a->reach[i].proved, b->reach[i].proved);
	}
}

/* Returns what all of them found. */
static struct outcome walk_all_ways(struct assay_bytes list, bool quick)
{
	struct outcome plain, threads;

	walk_list(list, 0, quick, &plain);
	for (unsigned jobs = 1; jobs <= JOBS_MOST; jobs++) {
		walk_list(list, jobs, quick, &threads);
		assert_equal(&plain, &threads);
	}
	return plain;
}

/* ---- the list ------------------------------------------------------------------------------- */

static void add_block(unsigned block, uint64_t *records, uint64_t *batches)
{
	static struct list_builder b;
	char name[64];

	builder_init(&b, &crypto);
	b.records = *records;
	b.batches = *batches;
	if (block == BLOCKS / 2)
		builder_state(&b, "v=1;event=mode;mode=group;");
	if (block >= BLOCKS / 2)
		builder_wait(&b);
	for (unsigned i = 0; i < RECORDS; i++) {
		snprintf(name, sizeof(name), "/usr/lib/file-%u-%u", block, i);
		builder_file(&b, 10, name, i == 77);
	}
	if (block >= BLOCKS / 2)
		builder_batch(&b, 10);
	memcpy(good + good_len, b.buf, b.w.len);
	good_len += b.w.len;
	*records = b.records;
	*batches = b.batches;
}

/* The PCRs' values are those of the good list. */
static void learn_claims(void)
{
	struct assay_verify_config config = { .size = sizeof(config),
					      .crypto = crypto,
					      .form = { .column = ASSAY_HASH_SHA1 } };
	struct outcome out = { 0 };
	struct walker w = { .out = &out };
	struct log_walk walk = { .list = assay_bytes(good, good_len), .record = take, .ctx = &w };
	struct assay_pcr_value value;

	assert_int_equal(assay_verify_new(&config, &w.verify, NULL), 0);
	walk.checker = assay_verify_checker(w.verify);
	if (walk_plainly(&walk, &out.err) < 0)
		fail_msg("%s", out.err.text);
	assay_replay_pcr(assay_verify_replay(w.verify), 10, ASSAY_EXTEND_REAL, &value);
	for (unsigned i = 0; i < ARRAY_LEN(claims); i++)
		memcpy(claims[i].value, value.value[i], assay_hash_size(claims[i].alg));
	assay_verify_free(w.verify);
}

static int make_list(void **state)
{
	static struct assay_crypto_openssl *openssl;
	uint64_t records = 0, batches = 0;

	assert_int_equal(assay_crypto_openssl_new(&openssl, NULL), 0);
	crypto = assay_crypto_openssl_port(openssl);
	for (unsigned block = 0; block < BLOCKS; block++)
		add_block(block, &records, &batches);
	learn_claims();
	*state = openssl;
	return 0;
}

static int free_crypto(void **state)
{
	assay_crypto_openssl_free(*state);
	return 0;
}

/* ---- the tests ------------------------------------------------------------------------------ */

static void test_good(void **state)
{
	struct outcome out = walk_all_ways(assay_bytes(good, good_len), false);

	assert_int_equal(out.r, 0);
	assert_true(out.sum.all_reached);
	assert_int_equal(out.taken, out.sum.entries);
	assert_int_equal(out.taken, BLOCKS * RECORDS + BLOCKS / 2 + 1);
	out = walk_all_ways(assay_bytes(good, good_len), true);
	assert_int_equal(out.r, 0);
}

static void test_none(void **state)
{
	assert_int_equal(walk_all_ways(assay_bytes(good, 0), false).taken, 0);
}

static uint64_t seed = 1;

static size_t below(size_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(seed >> 33) % n;
}

/* One to three flipped bits, and every fourth time a tail that is missing. */
static struct assay_bytes damage(unsigned round)
{
	size_t len = good_len;

	memcpy(bad, good, good_len);
	for (size_t i = below(3) + 1; i > 0; i--)
		bad[below(len)] ^= (uint8_t)(1u << below(8));
	if (round % 4 == 0)
		len = below(len);
	return assay_bytes(bad, len);
}

static void test_damaged(void **state)
{
	const char *is_long = getenv("ASSAY_TEST_LONG");
	unsigned rounds = TRIES(is_long && *is_long == '1' ? 10000 : 150), ended = 0;

	for (unsigned i = 0; i < rounds; i++)
		ended += walk_all_ways(damage(i), i % 3 == 0).r < 0;
	assert_in_range(ended, rounds / 2, rounds); /* most damage ends the walk */
}

/* The first of two wrong entries is the one that is named, though the second is in another chunk,
 * or in the same, or of a kind that is found earlier. */
static void test_first(void **state)
{
	struct assay_rd in = assay_rd(assay_bytes(good, good_len));
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	static size_t at[BLOCKS * (RECORDS + 2)];
	struct assay_record record;
	char text[32];
	size_t n = 0;

	for (; !assay_rd_end(&in); n++) {
		at[n] = assay_rd_offset(&in);
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
	}
	for (unsigned i = 0; i < TRIES(100); i++) {
		size_t first = below(n - 1), second = first + 1 + below(n - 1 - first);
		struct outcome out;

		memcpy(bad, good, good_len);
		bad[at[first] + 4] ^= 1;	   /* a digest that is not the data's */
		memset(&bad[at[second]], 0xff, 4); /* no such PCR: it cannot be read */
		out = walk_all_ways(assay_bytes(bad, good_len), false);
		snprintf(text, sizeof(text), "entry %zu: ", first);
		if (out.r == 0 || strncmp(out.err.text, text, strlen(text)) != 0)
			fail_msg("%zu, %zu: %s", first, second, out.err.text);
	}
}

/* Who may use one CPU only gets one job: the walk without other threads. */
static void test_cpus(void **state)
{
	cpu_set_t all, one;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(log_walk_cpus(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(log_walk_cpus(), CPU_COUNT(&all) > 64 ? 64 : CPU_COUNT(&all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	cmocka_unit_test(test_none),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_first),
		cmocka_unit_test(test_cpus),
	};

	return cmocka_run_group_tests_name("log_walk", tests, make_list, free_crypto);
}
