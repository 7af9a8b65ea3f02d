/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists as the kernel's files show them: each bank's files of real kernels from the sha1 one, read
 * in pieces of any size; lists that grow while they are read; the anchored form; damage. */
#include "unit/test.h"

#include <errno.h>
#include <unistd.h>

#include "engine/listing.h"
#include "engine/steps.h"
#include "unit/kernel_lists.h"
#include "unit/list_builder.h"

struct fixture {
	struct assay_crypto_openssl *openssl;
	struct assay_crypto crypto;
	struct list_builder b;
};

static const struct assay_banks two_banks = { { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, 2 };

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(assay_crypto_openssl_new(&f->openssl, NULL), 0);
	f->crypto = assay_crypto_openssl_port(f->openssl);
	builder_init(&f->b, &f->crypto);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assay_crypto_openssl_free(f->openssl);
	free(f);
	return 0;
}

static struct assay_listing *open_listing(struct fixture *f, bool anchored, bool ascii,
					  enum assay_hash column, struct assay_bytes records)
{
	struct assay_listing_kind kind = { anchored, ascii, column };
	struct assay_listing *l;

	assert_int_equal(assay_listing_new(&f->crypto, &kind, &two_banks, records, &l), 0);
	return l;
}

/* All of it, in reads of @step bytes; malloc'ed. */
static struct assay_bytes read_all(struct assay_listing *l, struct assay_bytes records, size_t step)
{
	static uint8_t piece[1 << 17];
	uint8_t *all = NULL;
	size_t len = 0, room = 0;

	for (;;) {
		struct assay_wr w = assay_wr(piece, step);

		assert_int_equal(assay_listing_read(l, records, len, &w, NULL), 0);
		if (w.len == 0)
			return assay_bytes(all, len);
		if (len + w.len > room)
			all = realloc(all, room = 2 * (len + w.len));
		memcpy(all + len, piece, w.len);
		len += w.len;
	}
}

static void assert_same(struct assay_bytes got, struct assay_bytes want)
{
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.data, want.data, want.len);
}

static void assert_shows(struct fixture *f, struct assay_bytes records, bool ascii,
			 enum assay_hash column, struct assay_bytes want)
{
	static const size_t steps[] = { 1, 7, 4096, 4097, 1 << 17 };

	for (size_t i = want.len > 70000; i < ARRAY_LEN(steps); i++) {
		AUTO(listing)
		struct assay_listing *l = open_listing(f, false, ascii, column, records);
		struct assay_bytes got = read_all(l, records, steps[i]);

		assert_same(got, want);
		free((void *)(uintptr_t)got.data);
	}
}

/* The name of the file beside the binary one. */
static void ascii_name(const char *binary, char ret[static 64])
{
	snprintf(ret, 64, "ascii%s", strchr(binary, '_'));
}

/* Kernels' own files, byte for byte. */
static void shows_what_kernels_show(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(kernel_lists); i++) {
		const struct kernel_list *k = &kernel_lists[i];
		AUTO(file) struct assay_file sha1 = { 0 }, want = { 0 };

		kernel_file_read(k->run, "binary_runtime_measurements", &sha1);
		kernel_list_read(k, &want);
		assert_shows(f, sha1.bytes, false, k->column, want.bytes);
	}
}

static void shows_what_kernels_print(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_LEN(kernel_lists); i++) {
		const struct kernel_list *k = &kernel_lists[i];
		AUTO(file) struct assay_file sha1 = { 0 }, want = { 0 };
		char name[64], path[512];

		ascii_name(k->file, name);
		snprintf(path, sizeof(path), "%s/kernel/%s/%s", VECTORS, k->run, name);
		if (access(path, R_OK) < 0)
			continue;
		kernel_file_read(k->run, "binary_runtime_measurements", &sha1);
		kernel_file_read(k->run, name, &want);
		assert_shows(f, sha1.bytes, true, k->column, want.bytes);
		n++;
	}
	assert_true(n >= 8);
}

/* Any place, any size: what a sequential read has there. */
static void any_place_can_be_read(void **state)
{
	struct fixture *f = *state;
	AUTO(file) struct assay_file sha1 = { 0 };
	AUTO(listing) struct assay_listing *l = NULL;
	static uint8_t many[2 << 20], piece[70000];
	struct assay_wr w = assay_wr(many, sizeof(many));
	struct assay_bytes records, want;
	uint32_t random = 1;

	kernel_file_read("6.12.95/rich-sha256-ima-sig", "binary_runtime_measurements", &sha1);
	while (w.cap - w.len >= sha1.bytes.len)
		assay_wr_bytes(&w, sha1.bytes);
	records = assay_wr_done(&w);
	l = open_listing(f, false, true, ASSAY_HASH_SHA512, records);
	want = read_all(l, records, 1 << 17);
	for (unsigned i = 0; i < 300; i++) {
		size_t offset, size;

		random = random * 1103515245u + 12345u;
		offset = random % (want.len + 1000);
		size = (random >> 7) % sizeof(piece);
		w = assay_wr(piece, size);
		assert_int_equal(assay_listing_read(l, records, offset, &w, NULL), 0);
		if (offset >= want.len) {
			assert_int_equal(w.len, 0);
			continue;
		}
		assert_int_equal(w.len, size < want.len - offset ? size : want.len - offset);
		assert_memory_equal(piece, want.data + offset, w.len);
	}
	free((void *)(uintptr_t)want.data);
}

/* What was read is what stands in front of the longer list; the rest follows. */
static void a_flat_list_goes_on_where_it_ended(void **state)
{
	struct fixture *f = *state;
	AUTO(listing) struct assay_listing *l = NULL, *whole = NULL;
	struct assay_bytes records, all;
	uint8_t got[1 << 16];
	struct assay_wr w = assay_wr(got, sizeof(got));

	l = open_listing(f, false, true, ASSAY_HASH_SHA256, assay_bytes(f->b.buf, 0));
	for (unsigned i = 0; i < 40; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/bin/%u", i);
		builder_file(&f->b, 10, name, i % 5 == 4);
		records = assay_wr_done(&f->b.w);
		assert_int_equal(assay_listing_read(l, records, w.len, &w, NULL), 0);
	}
	whole = open_listing(f, false, true, ASSAY_HASH_SHA256, records);
	all = read_all(whole, records, 999);
	assert_same(assay_wr_done(&w), all);
	free((void *)(uintptr_t)all.data);
}

/* Two batches; between them a record of the kernel's that goes before the first. */
static void build_group_list(struct list_builder *b, size_t at[static 4])
{
	builder_state(b, "v=1;event=mode;mode=group;");
	builder_wait(b);
	builder_file(b, 10, "/bin/a", false);
	builder_file(b, 10, "/bin/b", true);
	at[0] = b->w.len;
	builder_batch(b, 10);
	builder_wait(b);
	at[1] = b->w.len;
	builder_state(b, "v=1;event=kernel;count=1;at=3;index=4;");
	at[2] = b->w.len;
	builder_record(b, 10, "ima-sig",
		       &(struct assay_template_facts){ .violation_alg = ASSAY_HASH_SHA256,
						       .name = assay_bytes_str("/kernel") });
	at[3] = b->w.len;
	builder_batch(b, 10);
}

/* The first record; the kernel's, which was extended before the first batch; both batches. */
static void the_anchored_form_has_the_order_of_the_pcrs(void **state)
{
	struct fixture *f = *state;
	AUTO(listing) struct assay_listing *l = NULL;
	struct assay_bytes records, got;
	static uint8_t want[1 << 16];
	struct assay_wr w = assay_wr(want, sizeof(want));
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_record first;
	struct assay_rd in;
	size_t at[4];

	build_group_list(&f->b, at);
	records = assay_wr_done(&f->b.w);
	in = assay_rd(records);
	assert_int_equal(assay_record_parse(&in, &form, &first, NULL), 0);
	assay_wr_raw(&w, records.data, first.size);
	assay_wr_raw(&w, records.data + at[2], at[3] - at[2]);
	assay_wr_raw(&w, records.data + at[0], at[1] - at[0]);
	assay_wr_raw(&w, records.data + at[3], records.len - at[3]);
	l = open_listing(f, true, false, ASSAY_HASH_SHA1, records);
	for (size_t step = 1; step < 300; step += 13) {
		got = read_all(l, records, step);
		assert_same(got, assay_wr_done(&w));
		free((void *)(uintptr_t)got.data);
	}
}

/* What waits has no standing; what comes after the open is not in this one. */
static void the_anchored_form_is_that_of_its_open(void **state)
{
	struct fixture *f = *state;
	AUTO(listing) struct assay_listing *l = NULL, *later = NULL;
	struct assay_bytes records, before, after;
	size_t at[4];

	build_group_list(&f->b, at);
	builder_wait(&f->b);
	builder_file(&f->b, 10, "/bin/late", false);
	records = assay_wr_done(&f->b.w);
	l = open_listing(f, true, true, ASSAY_HASH_SHA256, records);
	before = read_all(l, records, 4096);
	builder_batch(&f->b, 10);
	records = assay_wr_done(&f->b.w);
	after = read_all(l, records, 100);
	assert_same(after, before);
	free((void *)(uintptr_t)after.data);
	later = open_listing(f, true, true, ASSAY_HASH_SHA256, records);
	after = read_all(later, records, 100);
	assert_true(after.len > before.len);
	assert_memory_equal(after.data, before.data, before.len);
	free((void *)(uintptr_t)after.data);
	free((void *)(uintptr_t)before.data);
}

static bool hash_is_out;
static bool (*real_has_hash)(void *ctx, enum assay_hash alg);

static bool has_hash(void *ctx, enum assay_hash alg)
{
	return !hash_is_out && real_has_hash(ctx, alg);
}

/* A read that goes back, and cannot begin again: an error, and the next read begins anew. */
static void going_back_may_fail(void **state)
{
	struct fixture *f = *state;
	struct assay_crypto_ops ops = *f->crypto.ops;
	AUTO(listing) struct assay_listing *l = NULL;
	struct assay_bytes records, all;
	uint8_t piece[64];
	struct assay_wr w = assay_wr(piece, sizeof(piece));
	size_t at[4];

	build_group_list(&f->b, at);
	records = assay_wr_done(&f->b.w);
	real_has_hash = ops.has_hash;
	ops.has_hash = has_hash;
	f->crypto.ops = &ops;
	l = open_listing(f, true, false, ASSAY_HASH_SHA1, records);
	all = read_all(l, records, 4096);
	hash_is_out = true;
	assert_true(assay_listing_read(l, records, 0, &w, NULL) < 0);
	assert_true(assay_listing_read(l, records, all.len - 1, &w, NULL) < 0);
	hash_is_out = false;
	assert_int_equal(assay_listing_read(l, records, 0, &w, NULL), 0);
	assert_same(assay_wr_done(&w), assay_bytes(all.data, sizeof(piece)));
	free((void *)(uintptr_t)all.data);
}

/* Every byte of a list changed: what is shown stays within bounds, and what is no list is an error.
 */
static void damage_is_an_error_at_its_place(void **state)
{
	struct fixture *f = *state;
	static uint8_t got[1 << 17];
	unsigned refused = 0;
	size_t at[4];

	build_group_list(&f->b, at);
	for (size_t i = 0; i < 8 * f->b.w.len; i++) {
		struct assay_bytes records = assay_wr_done(&f->b.w);

		f->b.buf[i / 8] ^= (uint8_t)(1u << i % 8);
		for (unsigned kind = 1; kind < 3; kind++) {
			struct assay_listing *l =
				open_listing(f, kind & 1, kind & 2, ASSAY_HASH_SHA256, records);
			struct assay_wr w = assay_wr(got, sizeof(got));
			struct assay_err err;
			int r = assay_listing_read(l, records, 0, &w, &err), again;

			assert_int_equal(r, 0 < w.len ? 0 : r);
			again = assay_listing_read(l, records, w.len, &w, &err);
			refused += again < 0;
			if (again < 0) /* and stays one */
				assert_int_equal(assay_listing_read(l, records, w.len, &w, &err),
						 again);
			assay_listing_free(l);
		}
		f->b.buf[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_true(refused > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shows_what_kernels_show, setup, teardown),
		cmocka_unit_test_setup_teardown(shows_what_kernels_print, setup, teardown),
		cmocka_unit_test_setup_teardown(any_place_can_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flat_list_goes_on_where_it_ended, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_anchored_form_has_the_order_of_the_pcrs, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_anchored_form_is_that_of_its_open, setup,
						teardown),
		cmocka_unit_test_setup_teardown(going_back_may_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_an_error_at_its_place, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
