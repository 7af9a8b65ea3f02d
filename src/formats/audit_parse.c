/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one writing of a record that assay_audit_encode() has, back to the record. */
#include <errno.h>

#include "base/num.h"
#include "base/rd.h"
#include "formats/audit.h"

struct parser {
	struct assay_rd in;
	uint8_t *space;
	size_t left;
	struct assay_err *err;
};

static int malformed(struct parser *p, const char *what)
{
	return assay_err_at(p->err, -EBADMSG, assay_rd_offset(&p->in), "audit record: %s", what);
}

static bool take_literal(struct assay_rd *in, const char *text)
{
	struct assay_rd at = *in;
	struct assay_bytes got;

	if (!assay_rd_bytes(&at, strlen(text), &got) || !assay_bytes_is(got, text))
		return false;
	*in = at;
	return true;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Decimal without leading zeros. */
static int take_number(struct parser *p, uint64_t *ret)
{
	struct assay_bytes digits = assay_bytes(p->in.at, 0);

	while (digits.len < assay_rd_left(&p->in) && is_digit(digits.data[digits.len]))
		digits.len++;
	if (!assay_rd_bytes(&p->in, digits.len, &digits) || digits.len == 0 ||
	    (digits.len > 1 && digits.data[0] == '0') ||
	    assay_num_parse(digits, 10, INT64_MAX, ret) < 0)
		return malformed(p, "no number, or one that is too big");
	return 0;
}

static int hex_digit(uint8_t c)
{
	if (is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_bare(uint8_t c)
{
	return c >= 0x20 && c <= 0x7e && c != '\\';
}

/* What follows a backslash: a quote, or \xHH of a byte that cannot stand by itself. */
static bool take_escape(struct assay_rd *in, uint8_t *ret)
{
	uint8_t c, high, low;

	if (!assay_rd_u8(in, &c))
		return false;
	if (c == '"') {
		*ret = c;
		return true;
	}
	if (c != '\\' || !assay_rd_u8(in, &c) || c != 'x' || !assay_rd_u8(in, &high) ||
	    !assay_rd_u8(in, &low) || hex_digit(high) < 0 || hex_digit(low) < 0)
		return false;
	*ret = (uint8_t)(hex_digit(high) << 4 | hex_digit(low));
	return !is_bare(*ret);
}

/* From the opening quote to the closing one. */
static int take_string(struct parser *p, size_t max, struct assay_bytes *ret)
{
	uint8_t *to = p->space, c;
	size_t n = 0;

	if (!take_literal(&p->in, "\""))
		return malformed(p, "no string");
	for (;;) {
		if (!assay_rd_u8(&p->in, &c))
			return malformed(p, "a string without end");
		if (c == '"')
			break;
		if (c == '\\' ? !take_escape(&p->in, &c) : !is_bare(c))
			return malformed(p, "a byte that is not written so");
		if (n == max)
			return assay_err_at(p->err, -E2BIG, assay_rd_offset(&p->in),
					    "audit record: a string of more than %zu bytes", max);
		if (n == p->left)
			return assay_err_set(p->err, -EINVAL, "no room for the record's strings");
		to[n++] = c;
	}
	*ret = assay_bytes(to, n);
	p->space += n;
	p->left -= n;
	return 0;
}

/* ---- the head ------------------------------------------------------------------------------- */

static int take_version(struct parser *p)
{
	uint64_t version;
	int r;

	if (!take_literal(&p->in, "{\"v\":"))
		return malformed(p, "it does not begin with a version");
	r = take_number(p, &version);
	if (r == 0 && version != ASSAY_AUDIT_VERSION)
		r = assay_err_set(p->err, -EOPNOTSUPP, "audit record of version %llu",
				  (unsigned long long)version);
	return r;
}

static int take_type(struct parser *p, enum assay_audit_type *ret)
{
	struct assay_bytes name;
	int r = take_literal(&p->in, ",\"type\":") ? take_string(p, 32, &name)
						   : malformed(p, "no type");

	if (r < 0)
		return r;
	for (unsigned i = 0; i < ASSAY_AUDIT_TYPE_COUNT; i++) {
		if (!assay_bytes_is(name, assay_audit_type_name((enum assay_audit_type)i)))
			continue;
		*ret = (enum assay_audit_type)i;
		return 0;
	}
	return malformed(p, "an unknown type");
}

/* The fields of a date, where @form has one letter a digit and all else stands for itself. */
static bool take_form(struct assay_bytes text, const char *form, uint32_t number[static 128])
{
	if (text.len != strlen(form))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = (uint8_t)form[i];

		if (c < 'a' || c > 'z') {
			if (text.data[i] != c)
				return false;
			continue;
		}
		if (!is_digit(text.data[i]))
			return false;
		number[c] = number[c] * 10 + (uint32_t)(text.data[i] - '0');
	}
	return true;
}

static uint64_t days_before(uint32_t year, uint32_t month)
{
	static const uint16_t before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	uint32_t y = year - (month <= 2); /* the leap day of this year has not come */

	return 365ull * (year - 1970) + (y / 4 - y / 100 + y / 400) -
	       (1969 / 4 - 1969 / 100 + 1969 / 400) + before[month - 1];
}

/* What exists is checked by writing it again: 30 February comes back as another day. */
static int take_time(struct parser *p, uint64_t *ret)
{
	uint32_t n[128] = { 0 };
	uint8_t again[40];
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct assay_bytes text;
	int r = take_literal(&p->in, ",\"time\":") ? take_string(p, 32, &text)
						   : malformed(p, "no time");

	if (r < 0)
		return r;
	if (!take_form(text, "yyyy-mm-ddThh:ii:ss.uuuuuuZ", n) || n['y'] < 1970 || n['m'] < 1 ||
	    n['m'] > 12 || n['d'] < 1)
		return malformed(p, "no such time");
	*ret = ((days_before(n['y'], n['m']) + n['d'] - 1) * 86400 + n['h'] * 3600ull +
		n['i'] * 60 + n['s']) *
		       1000000 +
	       n['u'];
	assay_audit_time_print(*ret, &w);
	return assay_bytes_equal(text, assay_wr_done(&w)) ? 0 : malformed(p, "no such time");
}

/* ---- fields --------------------------------------------------------------------------------- */

static int take_value(struct parser *p, enum assay_audit_field field, struct assay_audit *r)
{
	struct assay_bytes text;
	uint64_t number;
	int rc;

	if (assay_audit_field_kind(field) == ASSAY_AUDIT_KIND_NUMBER) {
		rc = take_number(p, &number);
		if (rc == 0)
			assay_audit_set_number(r, field, number);
		return rc;
	}
	rc = take_string(p, assay_audit_field_max(field), &text);
	if (rc == 0)
		assay_audit_set_text(r, field, text);
	return rc;
}

/* Keys stand in the order of the table, so that none stands twice. */
static int take_fields(struct parser *p, struct assay_audit *r)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < ASSAY_AUDIT_FIELD_COUNT; i++) {
		struct assay_rd at = p->in;

		if (!take_literal(&p->in, ",\"") ||
		    !take_literal(&p->in, assay_audit_field_key((enum assay_audit_field)i)) ||
		    !take_literal(&p->in, "\":")) {
			p->in = at;
			continue;
		}
		rc = take_value(p, (enum assay_audit_field)i, r);
	}
	if (rc == 0 && (!take_literal(&p->in, "}") || !assay_rd_end(&p->in)))
		rc = malformed(p, "a key that is unknown, out of order, or there twice");
	return rc;
}

int assay_audit_parse(struct assay_bytes line, void *space, size_t size, struct assay_audit *ret,
		      struct assay_err *err)
{
	struct parser p = { .in = assay_rd(line), .space = space, .left = size, .err = err };
	struct assay_audit r = { 0 };
	int rc;

	if (line.len > ASSAY_AUDIT_LINE_MAX)
		return assay_err_set(err, -E2BIG, "audit record: more than %u bytes",
				     ASSAY_AUDIT_LINE_MAX);
	rc = take_version(&p);
	if (rc == 0)
		rc = take_type(&p, &r.type);
	if (rc == 0)
		rc = take_time(&p, &r.time_us);
	if (rc == 0)
		rc = take_fields(&p, &r);
	if (rc == 0)
		*ret = r;
	return rc;
}
