/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ascii lists: the kernel's own must turn into the binary list beside them, and back. */
#include "unit/test.h"

#include <errno.h>

#include "formats/mlist_ascii.h"
#include "unit/kernel_lists.h"

#define B(s) assay_bytes((s), sizeof(s) - 1)

static const struct {
	const char *run, *suffix;
} lists[] = {
	{ "6.1.0/plain-no-boot-policy", "" },
	{ "6.1.0/rich-sha256-ima-sig", "" },
	{ "6.1.0/sha1-ima", "" },
	{ "6.1.0/sha1-ima-ng", "" },
	{ "6.12.95/rich-sha256-ima-sig", "" },
	{ "6.12.95/rich-sha256-ima-sig", "_sha256" },
	{ "6.12.95/sha512-ima-ng", "" },
	{ "7.2.13/rich-sha256-ima-sig", "" },
	{ "7.2.13/sha384-evm-sig", "" },
	{ "7.2.13/sha384-evm-sig", "_sha256" },
};

static void read_list(size_t i, const char *kind, struct assay_file *ret)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_runtime_measurements%s", kind, lists[i].suffix);
	kernel_file_read(lists[i].run, name, ret);
}

static void test_kernel_ascii_becomes_kernel_binary(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct assay_file ascii, binary;
		struct assay_list_form form;
		struct assay_err err = { 0 };
		struct assay_wr w;

		read_list(i, "ascii", &ascii);
		read_list(i, "binary", &binary);
		assert_true(assay_ascii_is(ascii.bytes));
		assert_false(assay_ascii_is(binary.bytes));
		w = assay_wr(malloc(assay_ascii_bound(ascii.bytes.len)),
			     assay_ascii_bound(ascii.bytes.len));
		if (assay_ascii_parse(ascii.bytes, &w, &form, &err) < 0)
			fail_msg("%s:%u:%u: %s", lists[i].run, err.line, err.column, err.text);
		assert_true(assay_bytes_equal(assay_wr_done(&w), binary.bytes));
		free(w.data);
		assay_file_free(&ascii);
		assay_file_free(&binary);
	}
}

static void print_list(struct assay_bytes list, struct assay_wr *w)
{
	struct assay_list_form form;
	struct assay_rd in = assay_rd(list);

	assert_int_equal(assay_list_form_detect(list, &form, NULL), 0);
	while (!assay_rd_end(&in)) {
		struct assay_template_data cut;
		struct assay_template t;
		struct assay_record r;

		assert_int_equal(assay_record_parse(&in, &form, &r, NULL), 0);
		assert_int_equal(assay_template_parse(r.template_name, &t, NULL), 0);
		assert_int_equal(assay_template_cut(&t, r.data, form.big, &cut, NULL), 0);
		assay_ascii_print(&r, &cut, form.big, ASSAY_ASCII_RAW, w);
		assay_wr_u8(w, '\n');
	}
}

static void test_kernel_binary_prints_as_kernel_ascii(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct assay_file ascii, binary;
		struct assay_wr w;

		read_list(i, "ascii", &ascii);
		read_list(i, "binary", &binary);
		w = assay_wr(malloc(ascii.bytes.len), ascii.bytes.len);
		print_list(binary.bytes, &w);
		assert_true(assay_bytes_equal(assay_wr_done(&w), ascii.bytes));
		free(w.data);
		assay_file_free(&ascii);
		assay_file_free(&binary);
	}
}

#define D40 "dddddddddddddddddddddddddddddddddddddddd"

static void assert_refused(struct assay_bytes text, uint32_t line, uint32_t column)
{
	struct assay_list_form form;
	struct assay_err err = { 0 };
	uint8_t buf[4096];
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	assert_true(assay_ascii_parse(text, &w, &form, &err) < 0);
	assert_int_equal(err.line, line);
	assert_int_equal(err.column, column);
}

static void test_refusals_have_line_and_column(void **state)
{
	assert_refused(B("rubbish\n"), 1, 1);
	assert_refused(B("10 " D40 " ima-ng sha1:" D40 " /a\n10 " D40 " ima-ng sha1:xx /a\n"), 2,
		       52);
	assert_refused(B("10 " D40 " ima-ng sha1:" D40 "\n"), 1, 52);
	assert_refused(B("10 " D40 " ima-ng sha1:" D40 " /a b\n"), 1, 98);
	assert_refused(B("10 " D40 " ima-sigv3 sha1:" D40 " /a\n"), 1, 1);
	assert_refused(B("64 " D40 " ima-ng sha1:" D40 " /a\n"), 1, 1);
}

static void test_names_are_escaped(void **state)
{
	char buf[256];
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	assay_ascii_escape(B("a\\b\n\x1b[2J\x7f\xc3\xa9\xff\xc0\x80\xe2\x80\xae\xed\xa0\x80"), &w);
	assert_true(assay_bytes_is(assay_wr_done(&w),
				   "a\\\\b\\x0a\\x1b[2J\\x7f\xc3\xa9\\xff\\xc0\\x80\\xe2\\x80\\xae"
				   "\\xed\\xa0\\x80"));
}

/* Refused with its place; or a list that, printed, is parsed to the same. */
static void refused_or_means_something(struct assay_bytes text)
{
	size_t cap = assay_ascii_bound(text.len), space = 4 * cap + 1024;
	struct assay_wr one = assay_wr(malloc(cap), cap), two, printed;
	struct assay_list_form form;
	struct assay_err err = { 0 };

	if (assay_ascii_parse(text, &one, &form, &err) < 0) {
		assert_true(err.line > 0 && err.column > 0 && err.text[0]);
	} else {
		printed = assay_wr(malloc(space), space);
		print_list(assay_wr_done(&one), &printed);
		assert_true(assay_wr_ok(&printed));
		cap = assay_ascii_bound(printed.len);
		two = assay_wr(malloc(cap), cap);
		assert_int_equal(assay_ascii_parse(assay_wr_done(&printed), &two, &form, NULL), 0);
		assert_true(assay_bytes_equal(assay_wr_done(&one), assay_wr_done(&two)));
		free(two.data);
		free(printed.data);
	}
	free(one.data);
}

/* The first lines of real lists: a list of some templates, and one with signatures. */
static void test_flips_and_cuts(void **state)
{
	static const size_t of[] = { 1, 9 };

	for (size_t k = 0; k < ARRAY_LEN(of); k++) {
		struct assay_file ascii;
		uint8_t *copy;
		size_t len;

		read_list(of[k], "ascii", &ascii);
		len = ascii.bytes.len < 1500 ? ascii.bytes.len : 1500;
		copy = malloc(len);
		for (size_t cut = 1; cut < len; cut++) {
			/* at its end: what is read past it is found */
			memcpy(copy + len - cut, ascii.bytes.data, cut);
			refused_or_means_something(assay_bytes(copy + len - cut, cut));
		}
		memcpy(copy, ascii.bytes.data, len);
		for (size_t bit = 0; bit < 8 * len; bit++) {
			copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
			refused_or_means_something(assay_bytes(copy, len));
			copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		free(copy);
		assay_file_free(&ascii);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_ascii_becomes_kernel_binary),
		cmocka_unit_test(test_kernel_binary_prints_as_kernel_ascii),
		cmocka_unit_test(test_refusals_have_line_and_column),
		cmocka_unit_test(test_names_are_escaped),
		cmocka_unit_test(test_flips_and_cuts),
	};
	return cmocka_run_group_tests_name("mlist_ascii", tests, NULL, NULL);
}
