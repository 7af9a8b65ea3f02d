/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/mlist.h"

#include <errno.h>

#include "base/macros.h"

#define LEGACY_DIGEST 20u
#define LEGACY_MD5    16u
#define DETECT_COUNT  4u /* records that must fit before a form is believed */

static int cut_short(const struct assay_rd *in, struct assay_err *err, const char *what)
{
	return assay_err_at(err, -EBADMSG, assay_rd_offset(in), "the list ends in a record's %s",
			    what);
}

static int parse_legacy(struct assay_rd *in, size_t digest, struct assay_bytes *ret,
			struct assay_err *err)
{
	const uint8_t *start = in->at;
	struct assay_bytes ignored;
	uint32_t len;

	if (!assay_rd_bytes(in, digest, &ignored))
		return cut_short(in, err, "file digest");
	if (!assay_rd_u32(in, &len))
		return cut_short(in, err, "event name length");
	if (len > 255)
		return assay_err_at(err, -EBADMSG, assay_rd_offset(in) - 4,
				    "event name of %u bytes in an 'ima' record (at most 255)", len);
	if (!assay_rd_bytes(in, len, &ignored))
		return cut_short(in, err, "event name");
	*ret = assay_bytes(start, (size_t)(in->at - start));
	return 0;
}

/* Legacy data have no length of their own: a raw digest, then the name with its length. Of md5 the
 * digest has 16 bytes; read as one of 20, letters of the name stand where the length should, and
 * are more than any name's. */
static int parse_legacy_data(struct assay_rd *in, struct assay_bytes *ret, struct assay_err *err)
{
	struct assay_rd at = *in;

	if (parse_legacy(&at, LEGACY_DIGEST, ret, NULL) < 0) {
		at = *in;
		if (parse_legacy(&at, LEGACY_MD5, ret, NULL) < 0 ||
		    assay_template_legacy_digest(*ret) != LEGACY_MD5) {
			at = *in;
			return parse_legacy(&at, LEGACY_DIGEST, ret, err);
		}
	}
	in->at = at.at;
	return 0;
}

static int parse_data(struct assay_rd *in, struct assay_bytes *ret, struct assay_err *err)
{
	uint32_t len;

	if (!assay_rd_u32(in, &len))
		return cut_short(in, err, "template data length");
	if (len > ASSAY_RECORD_DATA_MAX)
		return assay_err_at(err, -E2BIG, assay_rd_offset(in) - 4,
				    "template data of %u bytes (at most %u)", len,
				    ASSAY_RECORD_DATA_MAX);
	if (!assay_rd_bytes(in, len, ret))
		return cut_short(in, err, "template data");
	return 0;
}

static int parse_head(struct assay_rd *in, enum assay_hash column, struct assay_record *r,
		      struct assay_err *err)
{
	uint32_t len;

	if (!assay_rd_u32(in, &r->pcr))
		return cut_short(in, err, "PCR index");
	if (r->pcr > ASSAY_RECORD_PCR_MAX)
		return assay_err_at(err, -E2BIG, assay_rd_offset(in) - 4,
				    "PCR index %u (at most %u)", r->pcr, ASSAY_RECORD_PCR_MAX);
	if (!assay_rd_bytes(in, assay_hash_size(column), &r->template_digest))
		return cut_short(in, err, "template digest");
	if (!assay_rd_u32(in, &len))
		return cut_short(in, err, "template name length");
	if (len == 0 || len > ASSAY_TEMPLATE_NAME_MAX)
		return assay_err_at(err, -EBADMSG, assay_rd_offset(in) - 4,
				    "template name of %u bytes (1 to %u)", len,
				    ASSAY_TEMPLATE_NAME_MAX);
	if (!assay_rd_bytes(in, len, &r->template_name))
		return cut_short(in, err, "template name");
	return 0;
}

int assay_record_parse(struct assay_rd *in, const struct assay_list_form *form,
		       struct assay_record *ret, struct assay_err *err)
{
	struct assay_record record = { 0 };
	struct assay_rd at = *in;
	int r;

	at.big = form->big;
	r = parse_head(&at, form->column, &record, err);
	if (r < 0)
		return r;
	record.legacy = assay_bytes_is(record.template_name, "ima");
	r = record.legacy ? parse_legacy_data(&at, &record.data, err)
			  : parse_data(&at, &record.data, err);
	if (r < 0)
		return r;
	record.violation = assay_bytes_all(record.template_digest, 0);
	record.size = (size_t)(at.at - in->at);
	in->at = at.at;
	*ret = record;
	return 0;
}

void assay_record_encode(const struct assay_record *record, struct assay_wr *w)
{
	assay_wr_u32(w, record->pcr);
	assay_wr_bytes(w, record->template_digest);
	assay_wr_field(w, record->template_name);
	if (record->legacy)
		assay_wr_bytes(w, record->data);
	else
		assay_wr_field(w, record->data);
}

/* How far the list makes sense in @form: 0 if its first records do, else where not. */
static int try_form(struct assay_bytes list, const struct assay_list_form *form,
		    struct assay_err *err)
{
	struct assay_rd in = assay_rd(list);

	for (unsigned i = 0; i < DETECT_COUNT && !assay_rd_end(&in); i++) {
		struct assay_template_data cut;
		struct assay_template template;
		struct assay_record record;
		size_t start = assay_rd_offset(&in);
		int r;

		r = assay_record_parse(&in, form, &record, err);
		if (r < 0)
			return r;
		r = assay_template_parse(record.template_name, &template, err);
		if (r == 0)
			r = assay_template_cut(&template, record.data, form->big, &cut, err);
		if (r < 0)
			return assay_err_at(err, r, start, "%s", err->text);
	}
	return 0;
}

int assay_list_form_detect(struct assay_bytes list, struct assay_list_form *ret,
			   struct assay_err *err)
{
	static const enum assay_hash columns[] = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256,
						   ASSAY_HASH_SHA384, ASSAY_HASH_SHA512 };
	struct assay_list_form best = { .column = ASSAY_HASH_SHA1 };
	struct assay_err furthest = { 0 };

	for (unsigned i = 0; i < 2 * ARRAY_LEN(columns); i++) {
		struct assay_list_form form = { .big = i >= ARRAY_LEN(columns),
						.column = columns[i % ARRAY_LEN(columns)] };
		struct assay_err why;

		if (try_form(list, &form, &why) == 0) {
			*ret = form;
			return 0;
		}
		if (why.offset > furthest.offset || i == 0) {
			furthest = why;
			best = form;
		}
	}
	/* One record made sense: the form is known, and its reader will name what is wrong. */
	if (furthest.offset >= 4 + assay_hash_size(best.column) + 4 + 1 + 4 + 4 &&
	    furthest.code != -EOPNOTSUPP) {
		*ret = best;
		return 0;
	}
	assay_err_prefix(&furthest, "not a measurement list");
	if (err)
		*err = furthest;
	return furthest.code;
}
