/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/checker.h"

#include <errno.h>

int assay_checker_init(struct assay_checker *c, const struct assay_crypto *crypto,
		       const struct assay_banks *banks, const struct assay_list_form *form,
		       bool want_sha1)
{
	if (!crypto->ops->has_hash(crypto->ctx, form->column))
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < banks->n; i++)
		if (!crypto->ops->has_hash(crypto->ctx, banks->alg[i]))
			return -EOPNOTSUPP;
	*c = (struct assay_checker){
		.crypto = *crypto, .banks = *banks, .form = *form, .want_sha1 = want_sha1
	};
	return 0;
}

static int find_template(struct assay_checker *c, struct assay_bytes name, struct assay_err *err)
{
	int r;

	if (c->name_len && assay_bytes_equal(name, assay_bytes(c->name, c->name_len)))
		return 0;
	r = assay_template_parse(name, &c->template, err);
	if (r < 0)
		return r;
	c->name_len = name.len;
	memcpy(c->name, name.data, name.len);
	return 0;
}

int assay_checker_cut(struct assay_checker *c, const struct assay_record *record,
		      struct assay_template_data *ret, struct assay_err *err)
{
	int r = find_template(c, record->template_name, err);

	if (r < 0)
		return r;
	return assay_template_cut(&c->template, record->data, c->form.big, ret, err);
}

static int check_column(const struct assay_checker *c, const struct assay_record *record,
			struct assay_err *err)
{
	uint8_t digest[ASSAY_HASH_SIZE_MAX];
	int r = assay_template_digest(&c->crypto, c->form.column, record, digest);

	if (r < 0)
		return assay_err_set(err, r, "cannot compute a template digest");
	if (assay_bytes_equal(record->template_digest,
			      assay_bytes(digest, assay_hash_size(c->form.column))))
		return 0;
	return assay_err_set(err, -EKEYREJECTED, "template digest is not that of the data");
}

static int compute(struct assay_checker *c, const struct assay_record *record,
		   struct assay_record_digests *ret, struct assay_err *err)
{
	const uint8_t *column = record->template_digest.data;
	int r = c->column_as_stated ? 0 : check_column(c, record, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < c->banks.n; i++) {
		if (c->banks.alg[i] == c->form.column)
			memcpy(ret->bank.value[i], column, record->template_digest.len);
		else
			r = assay_template_digest(&c->crypto, c->banks.alg[i], record,
						  ret->bank.value[i]);
		if (r < 0)
			return assay_err_set(err, r, "cannot compute a template digest");
	}
	if (!c->want_sha1)
		return 0;
	if (c->form.column == ASSAY_HASH_SHA1)
		memcpy(ret->sha1, column, sizeof(ret->sha1));
	else
		r = assay_template_digest(&c->crypto, ASSAY_HASH_SHA1, record, ret->sha1);
	return r;
}

/* The name is the second field of every built-in template. */
static bool is_boot_aggregate(const struct assay_template_data *cut)
{
	return cut->template.n_fields > 1 &&
	       assay_bytes_is(assay_field_text(cut->field[1]), "boot_aggregate");
}

int assay_checker_digests(struct assay_checker *c, const struct assay_record *record,
			  struct assay_record_digests *ret, struct assay_err *err)
{
	struct assay_template_data cut;
	int r = assay_checker_cut(c, record, &cut, err);

	if (r < 0)
		return r;
	ret->boot_aggregate = is_boot_aggregate(&cut);
	if (!record->violation)
		return compute(c, record, ret, err);
	memset(&ret->bank, 0xff, sizeof(ret->bank));
	memset(ret->sha1, 0xff, sizeof(ret->sha1));
	return 0;
}
