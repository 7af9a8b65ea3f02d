/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/mlist_ascii.h"

#include <errno.h>

#include "base/hex.h"
#include "base/macros.h"
#include "base/num.h"

/* ---- reading -------------------------------------------------------------------------------- */

/* "%2d DIGEST TEMPLATE", cut from the front of a record. */
struct head {
	uint64_t pcr;
	struct assay_bytes digest, name;
	size_t len; /* of all that, with the blank behind the name */
};

/* A word of a record's front; none is longer than a template's name. What is no text is not gone
 * through to its end. */
static bool cut_word(struct assay_bytes in, size_t at, struct assay_bytes *ret)
{
	size_t end = at;

	while (end < in.len && end - at < ASSAY_TEMPLATE_NAME_MAX && in.data[end] != ' ' &&
	       in.data[end] != '\n')
		end++;
	*ret = assay_bytes(in.data + at, end - at);
	return end > at && end < in.len && in.data[end] == ' ';
}

static bool is_hex(struct assay_bytes in)
{
	for (size_t i = 0; i < in.len; i++)
		if (!memchr("0123456789abcdefABCDEF", in.data[i], 22))
			return false;
	return true;
}

static bool parse_head(struct assay_bytes in, struct head *ret)
{
	size_t at = in.len && in.data[0] == ' ' ? 1 : 0;
	struct assay_bytes word;

	if (!cut_word(in, at, &word) || word.len + at < 2 ||
	    assay_num_parse(word, 10, ASSAY_RECORD_PCR_MAX, &ret->pcr) < 0)
		return false;
	at += word.len + 1;
	if (!cut_word(in, at, &ret->digest) || !is_hex(ret->digest) || ret->digest.len < 40 ||
	    ret->digest.len > 128)
		return false;
	at += ret->digest.len + 1;
	if (!cut_word(in, at, &ret->name))
		return false;
	ret->len = at + ret->name.len + 1;
	return true;
}

bool assay_ascii_is(struct assay_bytes file)
{
	struct head h;

	return parse_head(file, &h);
}

/* Whether a record begins here, with a digest as long as the first one's. */
static bool begins_record(struct assay_bytes in, size_t digest_len)
{
	struct assay_template t;
	struct head h;

	return parse_head(in, &h) && h.digest.len == digest_len &&
	       assay_template_parse(h.name, &t, NULL) == 0;
}

/* Length of the record at the front, without its last newline. */
static size_t find_end(struct assay_bytes in, size_t digest_len)
{
	size_t at = 0;

	for (;;) {
		const uint8_t *nl = at < in.len ? memchr(in.data + at, '\n', in.len - at) : NULL;

		if (!nl)
			return in.len;
		at = (size_t)(nl - in.data) + 1;
		if (at == in.len ||
		    begins_record(assay_bytes(in.data + at, in.len - at), digest_len))
			return at - 1;
	}
}

static int write_hex(struct assay_bytes text, struct assay_wr *w)
{
	if (text.len % 2)
		return -EBADMSG;
	for (size_t i = 0; i < text.len; i += 2) {
		uint8_t byte;

		if (assay_hex_decode(assay_bytes(text.data + i, 2), &byte, 1) != 1)
			return -EBADMSG;
		assay_wr_u8(w, byte);
	}
	return 0;
}

/* "algo:HEX", behind "ima:" or "verity:" if there is one. */
static int write_digest(struct assay_bytes text, bool typed, struct assay_wr *w)
{
	size_t at = 0;

	for (unsigned colons = typed ? 2 : 1; colons; at++) {
		if (at == text.len)
			return -EBADMSG;
		colons -= text.data[at] == ':';
	}
	assay_wr_raw(w, text.data, at);
	assay_wr_u8(w, 0);
	return write_hex(assay_bytes(text.data + at, text.len - at), w);
}

static int write_uint(enum assay_field id, struct assay_bytes text, struct assay_wr *w)
{
	bool small = id == ASSAY_FIELD_IMODE;
	uint64_t v;

	if (assay_num_parse(text, 10, small ? UINT16_MAX : UINT32_MAX, &v) < 0)
		return -EBADMSG;
	if (small)
		assay_wr_u16(w, (uint16_t)v);
	else
		assay_wr_u32(w, (uint32_t)v);
	return 0;
}

static int write_content(enum assay_field id, struct assay_bytes text, struct assay_wr *w)
{
	switch (assay_field_kind(id)) {
	case ASSAY_KIND_DIGEST_ALGO:
		return write_digest(text, false, w);
	case ASSAY_KIND_DIGEST_TYPE_ALGO:
		return write_digest(text, true, w);
	case ASSAY_KIND_STRING:
		assay_wr_bytes(w, text);
		assay_wr_u8(w, 0);
		return 0;
	case ASSAY_KIND_UINT:
		return write_uint(id, text, w);
	case ASSAY_KIND_DIGEST:
	case ASSAY_KIND_HEX:
		break;
	}
	return write_hex(text, w);
}

/* Puts the length of what was written since @at into the four bytes before. */
static void patch_length(struct assay_wr *w, size_t at)
{
	struct assay_wr length = assay_wr(w->data + at - 4, 4);

	if (assay_wr_ok(w))
		assay_wr_u32(&length, (uint32_t)(w->len - at));
}

static int write_field(const struct assay_template *t, uint32_t i, struct assay_bytes text,
		       struct assay_wr *w)
{
	size_t at;
	int r;

	if (t->legacy && i == 0)
		return text.len == 40 || text.len == 32 ? write_hex(text, w) : -EBADMSG;
	if (t->legacy) {
		assay_wr_field(w, text);
		return 0;
	}
	assay_wr_u32(w, 0);
	at = w->len;
	if (text.len == 0)
		return 0;
	r = write_content(t->fields[i], text, w);
	patch_length(w, at);
	return r;
}

/* The fields are parted by single blanks; the last one is all that is left. */
static int write_fields(const struct assay_template *t, struct assay_bytes line, size_t at,
			struct assay_wr *w, struct assay_err *err)
{
	for (uint32_t i = 0; i < t->n_fields; i++) {
		const uint8_t *blank =
			at < line.len ? memchr(line.data + at, ' ', line.len - at) : NULL;
		size_t end = blank ? (size_t)(blank - line.data) : line.len;
		bool last = i + 1 == t->n_fields;
		int r = -EBADMSG;

		if (at <= line.len && last == (blank == NULL))
			r = write_field(t, i, assay_bytes(line.data + at, end - at), w);
		if (r < 0)
			return assay_err_at_line(err, r, 0, (uint32_t)at + 1,
						 "field '%s' cannot be read",
						 assay_field_name(t->fields[i]));
		at = end + 1;
	}
	return 0;
}

/* What was written must be what a binary list could hold. */
static int check_data(const struct assay_template *t, const struct assay_wr *w, size_t from,
		      struct assay_err *err)
{
	struct assay_template_data cut;
	struct assay_bytes data = assay_bytes(w->data + from, w->len - from);

	if (!assay_wr_ok(w))
		return assay_err_set(err, -ENOSPC, "no room for the list");
	if (data.len > ASSAY_RECORD_DATA_MAX)
		return assay_err_set(err, -E2BIG, "template data of %zu bytes", data.len);
	return assay_template_cut(t, data, false, &cut, err);
}

static int parse_record(struct assay_bytes line, size_t digest_len, struct assay_wr *w,
			struct assay_err *err)
{
	struct assay_template t;
	struct head h;
	size_t at;
	int r;

	if (!parse_head(line, &h) || h.digest.len != digest_len)
		return assay_err_at_line(err, -EBADMSG, 0, 1,
					 "not a record: a PCR, a digest, a template, its fields");
	r = assay_template_parse(h.name, &t, err);
	if (r < 0)
		return r;
	assay_wr_u32(w, (uint32_t)h.pcr);
	write_hex(h.digest, w);
	assay_wr_field(w, h.name);
	if (!t.legacy)
		assay_wr_u32(w, 0);
	at = w->len;
	r = write_fields(&t, line, h.len, w, err);
	if (r < 0)
		return r;
	if (!t.legacy)
		patch_length(w, at);
	return check_data(&t, w, at, err);
}

static bool column_of(size_t digest_len, enum assay_hash *ret)
{
	static const enum assay_hash columns[] = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256,
						   ASSAY_HASH_SHA384, ASSAY_HASH_SHA512 };

	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		if (2 * assay_hash_size(columns[i]) != digest_len)
			continue;
		*ret = columns[i];
		return true;
	}
	return false;
}

static uint32_t count_lines(struct assay_bytes in)
{
	uint32_t n = 0;

	for (size_t i = 0; i < in.len; i++)
		n += in.data[i] == '\n';
	return n;
}

int assay_ascii_parse(struct assay_bytes text, struct assay_wr *w, struct assay_list_form *ret,
		      struct assay_err *err)
{
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	uint32_t line = 1;
	struct head h;

	if (text.len && (!parse_head(text, &h) || !column_of(h.digest.len, &form.column)))
		return assay_err_at_line(err, -EBADMSG, 1, 1, "not a measurement list");
	for (size_t at = 0; at < text.len;) {
		struct assay_bytes rest = assay_bytes(text.data + at, text.len - at);
		size_t len = find_end(rest, 2 * assay_hash_size(form.column));
		struct assay_err why = { .column = 1 };
		int r = parse_record(assay_bytes(rest.data, len), 2 * assay_hash_size(form.column),
				     w, &why);

		if (r < 0)
			return assay_err_at_line(err, r, line, why.column ? why.column : 1, "%s",
						 why.text);
		line += count_lines(assay_bytes(rest.data, len)) + 1;
		at += len + 1;
	}
	*ret = form;
	return 0;
}

/* ---- printing ------------------------------------------------------------------------------- */

/* Length of the UTF-8 character at the front if it may be printed as it is, else 0. */
static size_t printable(struct assay_bytes in)
{
	uint32_t c = in.data[0], min;
	size_t len;

	if (c < 0x80)
		return c >= 0x20 && c != 0x7f && c != '\\' ? 1 : 0;
	len = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : 2;
	min = len == 4 ? 0x10000 : len == 3 ? 0x800 : 0x80;
	if (c < 0xc0 || c >= 0xf8 || in.len < len)
		return 0;
	c &= 0xffu >> (len + 1);
	for (size_t i = 1; i < len; i++) {
		if ((in.data[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (in.data[i] & 0x3f);
	}
	if (c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || c < 0xa0)
		return 0;
	/* Line separators and what turns the direction of text. */
	if ((c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
	    c == 0x200f || c == 0x061c || c == 0xfeff)
		return 0;
	return len;
}

void assay_ascii_escape(struct assay_bytes in, struct assay_wr *w)
{
	for (size_t i = 0; i < in.len;) {
		size_t len = printable(assay_bytes(in.data + i, in.len - i));

		if (len)
			assay_wr_raw(w, in.data + i, len);
		else if (in.data[i] == '\\')
			assay_wr_str(w, "\\\\");
		else
			assay_wr_fmt(w, "\\x%02x", in.data[i]);
		i += len ? len : 1;
	}
}

/* Up to the NUL as text, the rest in hexadecimal. */
static void print_digest(struct assay_bytes in, struct assay_wr *w)
{
	const uint8_t *nul = memchr(in.data, '\0', in.len);
	size_t len = nul ? (size_t)(nul - in.data) : 0;

	assay_wr_raw(w, in.data, len);
	assay_wr_hex(w, assay_bytes(in.data + len + 1, in.len - len - 1));
}

void assay_field_print(enum assay_field id, struct assay_bytes field, bool big,
		       enum assay_ascii_names names, struct assay_wr *w)
{
	struct assay_bytes text = assay_field_text(field);

	if (field.len == 0)
		return;
	switch (assay_field_kind(id)) {
	case ASSAY_KIND_DIGEST_ALGO:
	case ASSAY_KIND_DIGEST_TYPE_ALGO:
		print_digest(field, w);
		break;
	case ASSAY_KIND_STRING:
		if (names == ASSAY_ASCII_RAW)
			assay_wr_bytes(w, text);
		else
			assay_ascii_escape(text, w);
		break;
	case ASSAY_KIND_UINT:
		assay_wr_fmt(w, "%u", assay_field_uint(id, field, big));
		break;
	case ASSAY_KIND_DIGEST:
	case ASSAY_KIND_HEX:
		assay_wr_hex(w, field);
		break;
	}
}

void assay_ascii_print(const struct assay_record *record, const struct assay_template_data *cut,
		       bool big, enum assay_ascii_names names, struct assay_wr *w)
{
	assay_wr_fmt(w, "%2u ", record->pcr);
	assay_wr_hex(w, record->template_digest);
	assay_wr_u8(w, ' ');
	assay_wr_bytes(w, record->template_name);
	for (uint32_t i = 0; i < cut->template.n_fields; i++) {
		assay_wr_u8(w, ' ');
		assay_field_print(cut->template.fields[i], cut->field[i], big, names, w);
	}
}
