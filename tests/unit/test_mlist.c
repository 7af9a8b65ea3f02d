/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of lists that real kernels wrote (tests/vectors/kernel). */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "formats/mlist.h"
#include "unit/kernel_lists.h"

#define B(s) assay_bytes((s), sizeof(s) - 1)

static void parse_whole(struct assay_bytes list, const struct assay_list_form *form)
{
	struct assay_rd in = assay_rd(list);
	uint8_t *again = malloc(list.len);
	struct assay_wr w = assay_wr(again, list.len);

	while (!assay_rd_end(&in)) {
		struct assay_template_data cut;
		struct assay_template t;
		struct assay_record r;
		struct assay_err err;

		assert_int_equal(assay_record_parse(&in, form, &r, &err), 0);
		assert_int_equal(assay_template_parse(r.template_name, &t, &err), 0);
		assert_int_equal(assay_template_cut(&t, r.data, form->big, &cut, &err), 0);
		assay_record_encode(&r, &w);
	}
	assert_true(assay_bytes_equal(assay_wr_done(&w), list));
	free(again);
}

static void test_every_kernel_list_is_read(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(kernel_lists); i++) {
		struct assay_list_form form;
		struct assay_file f;

		kernel_list_read(&kernel_lists[i], &f);
		assert_int_equal(assay_list_form_detect(f.bytes, &form, NULL), 0);
		assert_false(form.big);
		assert_int_equal(form.column, kernel_lists[i].column);
		parse_whole(f.bytes, &form);
		assay_file_free(&f);
	}
}

/* Cut anywhere, a list is shorter by whole records or its end is named. */
static void test_truncations(void **state)
{
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	size_t boundary = 0, next, records = 0;
	struct assay_file f;
	struct assay_record r;

	kernel_list_read(&kernel_lists[0], &f);
	for (size_t len = 0; len < f.bytes.len; len++) {
		struct assay_rd in = assay_rd(assay_bytes(f.bytes.data + boundary, len - boundary));
		struct assay_rd whole =
			assay_rd(assay_bytes(f.bytes.data + boundary, f.bytes.len - boundary));
		struct assay_err err = { 0 };

		assert_int_equal(assay_record_parse(&whole, &form, &r, NULL), 0);
		next = boundary + r.size;
		if (len == boundary)
			continue;
		assert_int_equal(assay_record_parse(&in, &form, &r, &err), -EBADMSG);
		assert_true(err.has_offset && err.offset <= len - boundary);
		assert_int_equal(assay_rd_offset(&in), 0);
		if (len + 1 == next) {
			boundary = next;
			records++;
		}
	}
	assert_true(records > 400);
	assay_file_free(&f);
}

static void assert_refused(struct assay_bytes list, int want)
{
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_rd in = assay_rd(list);
	struct assay_record r;
	struct assay_err err;

	assert_int_equal(assay_record_parse(&in, &form, &r, &err), want);
	assert_true(err.has_offset);
}

#define DIGEST "dddddddddddddddddddd"

static void test_limits(void **state)
{
	assert_refused(B("\x40\0\0\0" DIGEST "\6\0\0\0ima-ng\0\0\0\0"), -E2BIG);
	assert_refused(B("\x0a\0\0\0" DIGEST "\0\0\0\0ima-ng\0\0\0\0"), -EBADMSG);
	assert_refused(B("\x0a\0\0\0" DIGEST "\0\1\0\0ima-ng\0\0\0\0"), -EBADMSG);
	assert_refused(B("\x0a\0\0\0" DIGEST "\6\0\0\0ima-ng\1\0\0\1"), -E2BIG);
	assert_refused(B("\x0a\0\0\0" DIGEST "\6\0\0\0ima-ng\xff\xff\xff\xff"), -E2BIG);
	assert_refused(B("\x0a\0\0\0" DIGEST "\3\0\0\0ima" DIGEST "\0\1\0\0"), -EBADMSG);
	assert_refused(B("\x0a\0\0\0" DIGEST "\3\0\0\0ima" DIGEST "\1\0\0\0"), -EBADMSG);
}

static void test_legacy_record(void **state)
{
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_bytes list = B("\x0a\0\0\0" DIGEST "\3\0\0\0ima" DIGEST "\2\0\0\0/x");
	struct assay_rd in = assay_rd(list);
	struct assay_record r;

	assert_int_equal(assay_record_parse(&in, &form, &r, NULL), 0);
	assert_true(r.legacy && !r.violation && assay_rd_end(&in));
	assert_int_equal(r.data.len, 26);
	assert_int_equal(r.size, list.len);
}

/* Of a kernel with ima_hash=md5; one with 20 bytes stands behind it. */
static void test_legacy_record_of_md5(void **state)
{
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_bytes list = B("\x0a\0\0\0" DIGEST "\3\0\0\0ima"
				    "0123456789abcdef\7\0\0\0/bin/sh"
				    "\x0a\0\0\0" DIGEST "\3\0\0\0ima" DIGEST "\2\0\0\0/x");
	struct assay_template template;
	struct assay_template_data cut;
	struct assay_digest said;
	struct assay_rd in = assay_rd(list);
	struct assay_record r;

	assert_int_equal(assay_template_parse(B("ima"), &template, NULL), 0);
	assert_int_equal(assay_record_parse(&in, &form, &r, NULL), 0);
	assert_int_equal(r.data.len, 16 + 4 + 7);
	assert_int_equal(assay_template_cut(&template, r.data, false, &cut, NULL), 0);
	assert_int_equal(assay_field_digest(ASSAY_FIELD_D, cut.field[0], &said, NULL), 0);
	assert_int_equal(said.alg, ASSAY_HASH_MD5);
	assert_true(assay_bytes_is(cut.field[1], "/bin/sh"));
	assert_int_equal(assay_record_parse(&in, &form, &r, NULL), 0);
	assert_int_equal(r.data.len, 26);
	assert_true(assay_rd_end(&in));
	for (size_t len = 1; len < 27 + 31; len++) { /* no prefix of the first is one */
		in = assay_rd(assay_bytes(list.data, len));
		assert_int_equal(assay_record_parse(&in, &form, &r, NULL), -EBADMSG);
	}
}

static void test_form_of_nothing_and_of_rubbish(void **state)
{
	struct assay_list_form form = { .big = true };
	struct assay_err err;

	assert_int_equal(assay_list_form_detect(B(""), &form, NULL), 0);
	assert_false(form.big);
	assert_int_equal(form.column, ASSAY_HASH_SHA1);
	assert_true(assay_list_form_detect(B("# SPDX and so on, surely not a list of records, "
					     "however long it may be, and that is rather long"),
					   &form, &err) < 0);
	assert_non_null(strstr(err.text, "not a measurement list"));
	assert_true(assay_list_form_detect(B("short"), &form, NULL) < 0);
}

static void test_form_of_a_big_endian_list(void **state)
{
	struct assay_bytes list = B("\0\0\0\x0a" DIGEST "DDDDDDDDDDDD"
				    "\0\0\0\6ima-ng\0\0\0\x22"
				    "\0\0\0\x1a"
				    "sha1:\0" DIGEST "\0\0\0\0"
				    "\0\0\0\0");
	struct assay_list_form form;

	list.len -= 4;
	assert_int_equal(assay_list_form_detect(list, &form, NULL), 0);
	assert_true(form.big);
	assert_int_equal(form.column, ASSAY_HASH_SHA256);
	parse_whole(assay_bytes(list.data, 0), &form);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kernel_list_is_read),
		cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_legacy_record),
		cmocka_unit_test(test_legacy_record_of_md5),
		cmocka_unit_test(test_form_of_nothing_and_of_rubbish),
		cmocka_unit_test(test_form_of_a_big_endian_list),
	};
	return cmocka_run_group_tests_name("mlist", tests, NULL, NULL);
}
