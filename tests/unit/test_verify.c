/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists judged against PCR values: the lists of real kernels, every kind of damage to them, and
 * lists made here for what those kernels did not do (big-endian, kexec, PCRs read at different
 * times).
 *
 * With ASSAY_TEST_LONG=1 every single bit of every list is flipped; without, those of every 199th
 * byte.
 */
#include "unit/crypto_fixture.h"

#include <errno.h>

#include "base/hex.h"
#include "unit/kernel_lists.h"
#include "unit/verify_fixture.h"

/* ---- claims --------------------------------------------------------------------------------- */

/* PCR 10 and 11 of all banks. */
static void read_claims(const char *run, struct claims *ret)
{
	struct assay_file f;
	char *line, *rest;

	*ret = (struct claims){ 0 };
	kernel_file_read(run, "pcrs.txt", &f);
	rest = strndup((const char *)f.bytes.data, f.bytes.len);
	assay_file_free(&f);
	for (char *at = rest; (line = strsep(&at, "\n")) != NULL;) {
		char bank[16], hex[132];
		uint8_t value[64];
		enum assay_hash alg;
		unsigned pcr;

		if (sscanf(line, "%15s %u %131s", bank, &pcr, hex) != 3 || (pcr != 10 && pcr != 11))
			continue;
		assert_true(assay_hash_by_name(assay_bytes_str(bank), &alg));
		assert_true(assay_hex_decode(assay_bytes_str(hex), value, sizeof(value)) > 0);
		add_claim(ret, alg, pcr, value);
	}
	free(rest);
	assert_int_equal(ret->n, 8);
}

/* ---- one walk ------------------------------------------------------------------------------- */

/* As "assay log verify --complete" judges. */
static bool holds(const struct assay_list_form *form, struct assay_bytes list,
		  const struct claims *c, bool padded)
{
	AUTO(verify) struct assay_verify *v = new_verify(form, c, padded, false);
	struct assay_verify_summary s;
	int r = walk(v, form, list);

	assay_verify_summary(v, &s);
	return r == 0 && s.all_reached && s.any_reached && s.one_moment && s.uncovered == 0;
}

/* ---- lists of kernels ----------------------------------------------------------------------- */

static bool is_old(const struct kernel_list *l)
{
	return strncmp(l->run, "6.1.0/", 6) == 0;
}

static void test_kernel_lists_hold(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(kernel_lists); i++) {
		const struct kernel_list *l = &kernel_lists[i];
		struct assay_list_form form = { .column = l->column };
		struct assay_file f;
		struct claims c;

		kernel_list_read(l, &f);
		read_claims(l->run, &c);
		assert_int_equal(holds(&form, f.bytes, &c, false), !is_old(l));
		assert_true(holds(&form, f.bytes, &c, true));
		assay_file_free(&f);
	}
}

static void test_quick_walk_is_sound_only_with_two_banks(void **state)
{
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct claims all, one = { 0 };
	struct assay_file f;

	kernel_file_read("7.2.13/sha384-evm-sig", "binary_runtime_measurements", &f);
	read_claims("7.2.13/sha384-evm-sig", &all);
	for (unsigned skip = 0; skip < 3; skip++) {
		AUTO(verify) struct assay_verify *v = NULL;

		/* All; all but the column's bank; the column's bank alone. */
		one.n = 0;
		for (size_t i = 0; i < all.n; i++)
			if (skip == 0 || (all.claim[i].alg == ASSAY_HASH_SHA1) == (skip == 2))
				one.claim[one.n++] = all.claim[i];
		v = new_verify(&form, &one, false, true);
		assert_int_equal(walk(v, &form, f.bytes), 0);
		assert_int_equal(assay_verify_columns(v), skip == 0);
	}
	assay_file_free(&f);
}

/* ---- every bit ------------------------------------------------------------------------------ */

/* A flip that leaves its record wrong by itself needs no replay; the others (PCR indexes, mostly)
 * do, of the whole list. */
struct flips {
	const struct kernel_list *list;
	struct assay_list_form form;
	struct claims claims;
	uint8_t *bytes;
	size_t len, found, in_violation;
};

static bool record_alone_is_wrong(struct flips *f, size_t at)
{
	struct assay_rd in = assay_rd(assay_bytes(f->bytes + at, f->len - at));
	struct assay_banks none = { 0 };
	struct assay_record_digests d;
	struct assay_checker checker;
	struct assay_record r;

	assert_int_equal(assay_checker_init(&checker, &crypto, &none, &f->form, false), 0);
	return assay_record_parse(&in, &f->form, &r, NULL) < 0 ||
	       assay_checker_digests(&checker, &r, &d, NULL) < 0;
}

static void flip_bit(struct flips *f, size_t record, size_t byte, unsigned bit, bool violation,
		     size_t data)
{
	f->bytes[byte] ^= (uint8_t)(1u << bit);
	if (record_alone_is_wrong(f, record) ||
	    !holds(&f->form, assay_bytes(f->bytes, f->len), &f->claims, is_old(f->list)))
		f->found++;
	else if (violation && byte >= data)
		f->in_violation++; /* protected by nothing, as the manual says */
	else
		fail_msg("%s/%s: byte %zu bit %u of the record at %zu is missed", f->list->run,
			 f->list->file, byte, bit, record);
	f->bytes[byte] ^= (uint8_t)(1u << bit);
}

static void flip_list(struct flips *f, size_t step)
{
	size_t at = 0, next_byte = 0;

	while (at < f->len) {
		struct assay_rd in = assay_rd(assay_bytes(f->bytes + at, f->len - at));
		struct assay_record r;
		size_t data;

		assert_int_equal(assay_record_parse(&in, &f->form, &r, NULL), 0);
		/* The kernel protects nothing of a violation but that there is one, and its PCR. */
		data = at + 4 + r.template_digest.len;
		for (; next_byte < at + r.size; next_byte += step)
			for (unsigned bit = 0; bit < 8; bit++)
				flip_bit(f, at, next_byte, bit, r.violation, data);
		at += r.size;
	}
}

static void test_every_bit_is_found(void **state)
{
	bool all = getenv("ASSAY_TEST_LONG") != NULL;
	size_t found = 0, in_violation = 0;

	for (size_t i = 0; i < ARRAY_LEN(kernel_lists); i++) {
		struct flips f = { .list = &kernel_lists[i],
				   .form.column = kernel_lists[i].column };
		struct assay_file file;

		kernel_list_read(f.list, &file);
		read_claims(f.list->run, &f.claims);
		/* One claim of each PCR is enough, and costs less: sha256, real in all runs. */
		for (size_t k = f.claims.n; k-- > 0;)
			if (f.claims.claim[k].alg != ASSAY_HASH_SHA256)
				f.claims.claim[k] = f.claims.claim[--f.claims.n];
		f.bytes = (uint8_t *)(uintptr_t)file.bytes.data;
		f.len = file.bytes.len;
		flip_list(&f, all ? 1 : 199);
		found += f.found;
		in_violation += f.in_violation;
		assay_file_free(&file);
	}
	assert_true(found > 20000);
	print_message("%zu flips found, %zu in the data of violations\n", found, in_violation);
}

/* ---- truncations ---------------------------------------------------------------------------- */

static void test_every_truncation(void **state)
{
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_file f;
	struct claims c;
	size_t n = 0;

	kernel_file_read("7.2.13/sha384-evm-sig", "binary_runtime_measurements", &f);
	read_claims("7.2.13/sha384-evm-sig", &c);
	for (size_t len = 0;
	     len<f.bytes.len; len += len> 2000 && len + 2000 < f.bytes.len ? 911 : 1) {
		assert_false(holds(&form, assay_bytes(f.bytes.data, len), &c, false));
		n++;
	}
	assert_true(n > 2000);
	assay_file_free(&f);
}

/* ---- big-endian ----------------------------------------------------------------------------- */

static void put_be32(struct assay_wr *w, uint32_t v)
{
	w->big = true;
	assay_wr_u32(w, v);
}

/* The fields as a big-endian kernel without ima_canonical_fmt would have written them. */
static void turn_fields(const struct assay_template_data *cut, struct assay_wr *w)
{
	for (uint32_t i = 0; i < cut->template.n_fields; i++) {
		struct assay_bytes b = cut->field[i];
		bool ints = assay_field_kind(cut->template.fields[i]) == ASSAY_KIND_UINT ||
			    cut->template.fields[i] == ASSAY_FIELD_XATTRLENGTHS;
		size_t size = cut->template.fields[i] == ASSAY_FIELD_IMODE ? 2 : 4;

		if (cut->template.legacy && i == 0) {
			assay_wr_bytes(w, b);
			continue;
		}
		put_be32(w, (uint32_t)b.len);
		for (size_t k = 0; k < b.len; k++)
			assay_wr_u8(w, ints ? b.data[k / size * size + size - 1 - k % size]
					    : b.data[k]);
	}
}

static void turn_record(const struct assay_record *from, struct assay_wr *w)
{
	struct assay_record r = *from;
	uint8_t data[16384], digest[20] = { 0 };
	struct assay_wr turned = assay_wr(data, sizeof(data));
	struct assay_template_data cut;
	struct assay_template t;

	assert_int_equal(assay_template_parse(r.template_name, &t, NULL), 0);
	assert_int_equal(assay_template_cut(&t, r.data, false, &cut, NULL), 0);
	turn_fields(&cut, &turned);
	assert_true(assay_wr_ok(&turned));
	r.data = assay_wr_done(&turned);
	if (!r.violation)
		assert_int_equal(assay_template_digest(&crypto, ASSAY_HASH_SHA1, &r, digest), 0);
	r.template_digest = assay_bytes(digest, sizeof(digest));
	w->big = true;
	assay_record_encode(&r, w);
}

static void test_big_endian_twin(void **state)
{
	struct assay_list_form little = { .column = ASSAY_HASH_SHA1 }, form;
	struct assay_record r;
	struct assay_file f;
	struct claims c;
	struct assay_rd in;
	struct assay_wr w;

	kernel_file_read("7.2.13/rich-sha256-ima-sig", "binary_runtime_measurements", &f);
	w = assay_wr(malloc(f.bytes.len), f.bytes.len);
	for (in = assay_rd(f.bytes); !assay_rd_end(&in);) {
		assert_int_equal(assay_record_parse(&in, &little, &r, NULL), 0);
		turn_record(&r, &w);
	}
	assert_int_equal(w.len, f.bytes.len);
	assert_int_equal(assay_list_form_detect(assay_wr_done(&w), &form, NULL), 0);
	assert_true(form.big);
	replay_claims(&form, assay_wr_done(&w), &c);
	assert_true(holds(&form, assay_wr_done(&w), &c, false));
	c.claim[0].value[3] ^= 1;
	assert_false(holds(&form, assay_wr_done(&w), &c, false));
	free(w.data);
	assay_file_free(&f);
}

/* ---- lists made here ------------------------------------------------------------------------ */

static void findings(const struct list_builder *b, const struct claims *c, uint32_t pcr,
		     struct assay_pcr_finding *ret, struct assay_verify_summary *ret_summary)
{
	AUTO(verify) struct assay_verify *v = new_verify(&plain, c, true, false);

	assert_int_equal(walk(v, &plain, assay_wr_done(&b->w)), 0);
	assert_true(assay_verify_pcr(v, pcr, ret));
	assay_verify_summary(v, ret_summary);
}

/* The list goes on after the values were read. */
static void test_list_ahead_of_its_values(void **state)
{
	struct assay_verify_summary s;
	struct assay_pcr_finding f;
	struct list_builder b;
	struct claims c;

	builder_init(&b, &crypto);
	builder_file(&b, 10, "boot_aggregate", false);
	builder_file(&b, 10, "/a", false);
	replay_claims(&plain, assay_wr_done(&b.w), &c);
	builder_file(&b, 10, "/b", false);
	builder_file(&b, 11, "/c", false);
	findings(&b, &c, 10, &f, &s);
	assert_int_equal(f.state, ASSAY_PCR_REACHED);
	assert_int_equal(f.best.index, 1);
	assert_int_equal(f.uncovered, 1);
	assert_int_equal(s.uncovered, 2);
	assert_true(s.all_reached && s.any_reached && s.one_moment);
}

static void test_kexec(void **state)
{
	struct assay_verify_summary s;
	struct assay_pcr_finding f;
	struct list_builder b;
	struct claims c;

	builder_init(&b, &crypto);
	builder_file(&b, 10, "boot_aggregate", false);
	builder_file(&b, 10, "/a", false);
	builder_file(&b, 10, "boot_aggregate", false);
	builder_file(&b, 10, "/a", false); /* not in the new kernel's table: once more */
	builder_file(&b, 10, "/x/boot_aggregate", false);
	replay_claims(&plain, assay_wr_done(&b.w), &c);
	findings(&b, &c, 10, &f, &s);
	assert_int_equal(f.state, ASSAY_PCR_REACHED);
	assert_int_equal(s.boot_aggregates, 2);
}

static void test_banks_must_agree(void **state)
{
	struct assay_verify_summary s;
	struct assay_pcr_finding f;
	struct list_builder b;
	struct claims early, c;

	builder_init(&b, &crypto);
	builder_file(&b, 10, "/a", false);
	replay_claims(&plain, assay_wr_done(&b.w), &early);
	builder_file(&b, 10, "/b", false);
	replay_claims(&plain, assay_wr_done(&b.w), &c);
	c.claim[0] = early.claim[0];
	findings(&b, &c, 10, &f, &s);
	assert_int_equal(f.state, ASSAY_PCR_DISAGREE);
	assert_false(s.all_reached);
	c.claim[0].value[0] ^= 1;
	findings(&b, &c, 10, &f, &s);
	assert_int_equal(f.state, ASSAY_PCR_NOT_REACHED);
	assert_int_equal(f.best.index, 1);
}

/* PCR 11 as it was at the end, PCR 10 as it was before entries in front of that. */
static void test_pcrs_of_different_moments(void **state)
{
	struct assay_verify_summary s;
	struct assay_pcr_finding f;
	struct list_builder b;
	struct claims early, c;

	builder_init(&b, &crypto);
	builder_file(&b, 10, "/a", false);
	replay_claims(&plain, assay_wr_done(&b.w), &early);
	builder_file(&b, 10, "/b", false);
	builder_file(&b, 11, "/c", false);
	replay_claims(&plain, assay_wr_done(&b.w), &c);
	findings(&b, &c, 11, &f, &s);
	assert_true(s.one_moment);
	c.claim[0] = early.claim[0];
	c.claim[1] = early.claim[1];
	findings(&b, &c, 11, &f, &s);
	assert_int_equal(f.state, ASSAY_PCR_REACHED);
	assert_false(s.one_moment);
}

static void test_untouched_pcr(void **state)
{
	struct claims zero = { 0 };
	static const uint8_t none[64];
	struct assay_verify_summary s;
	struct assay_pcr_finding f;
	struct list_builder b;

	builder_init(&b, &crypto);
	builder_file(&b, 10, "/a", false);
	add_claim(&zero, ASSAY_HASH_SHA1, 10, none);
	findings(&b, &zero, 10, &f, &s);
	assert_int_equal(f.state, ASSAY_PCR_UNTOUCHED);
	assert_false(s.any_reached || s.all_reached);
}

static void test_refused_claims(void **state)
{
	struct assay_verify_config config = { .size = sizeof(config),
					      .crypto = crypto,
					      .form = plain };
	struct assay_verify *v = NULL;
	struct claims c = { 0 };
	static const uint8_t none[64];

	add_claim(&c, ASSAY_HASH_SHA1, 10, none);
	add_claim(&c, ASSAY_HASH_SHA1, 10, none);
	config.claims = c.claim;
	config.n_claims = 2;
	assert_int_equal(assay_verify_new(&config, &v, NULL), -EINVAL);
	c.claim[1].pcr = 64;
	assert_int_equal(assay_verify_new(&config, &v, NULL), -EINVAL);
	c.claim[1].pcr = 11;
	c.claim[1].alg = ASSAY_HASH_STREEBOG256;
	assert_int_equal(assay_verify_new(&config, &v, NULL), -EOPNOTSUPP);
	config.size--;
	assert_int_equal(assay_verify_new(&config, &v, NULL), -EINVAL);
	assert_null(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_lists_hold),
		cmocka_unit_test(test_quick_walk_is_sound_only_with_two_banks),
		cmocka_unit_test(test_every_bit_is_found),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_big_endian_twin),
		cmocka_unit_test(test_list_ahead_of_its_values),
		cmocka_unit_test(test_kexec),
		cmocka_unit_test(test_banks_must_agree),
		cmocka_unit_test(test_pcrs_of_different_moments),
		cmocka_unit_test(test_untouched_pcr),
		cmocka_unit_test(test_refused_claims),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
