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

/* The name is the second field of every built-in template. */
static bool is_boot_aggregate(const struct assay_template_data *cut)
{
	return cut->template.n_fields > 1 &&
	       assay_bytes_is(assay_field_text(cut->field[1]), "boot_aggregate");
}

int assay_checker_record(struct assay_checker *c, const struct assay_record *record,
			 struct assay_record_digests *ret, struct assay_err *err)
{
	struct assay_template_data cut;
	int r = assay_checker_cut(c, record, &cut, err);

	if (r == 0 && !record->violation && !c->column_as_stated)
		r = check_column(c, record, err);
	if (r < 0)
		return r;
	ret->extends = false;
	ret->boot_aggregate = is_boot_aggregate(&cut);
	return 0;
}

/* One digest; that of the list's column is known already. */
static int digest(const struct assay_checker *c, enum assay_hash alg,
		  const struct assay_record *record, uint8_t *ret)
{
	if (alg != c->form.column)
		return assay_template_digest(&c->crypto, alg, record, ret);
	memcpy(ret, record->template_digest.data, record->template_digest.len);
	return 0;
}

int assay_checker_extends(struct assay_checker *c, const struct assay_record *record,
			  struct assay_record_digests *ret, struct assay_err *err)
{
	int r = 0;

	ret->extends = true;
	if (record->violation) {
		memset(&ret->bank, 0xff, sizeof(ret->bank));
		memset(ret->sha1, 0xff, sizeof(ret->sha1));
		return 0;
	}
	for (uint32_t i = 0; r == 0 && i < c->banks.n; i++)
		r = digest(c, c->banks.alg[i], record, ret->bank.value[i]);
	if (r == 0 && c->want_sha1)
		r = digest(c, ASSAY_HASH_SHA1, record, ret->sha1);
	return r < 0 ? assay_err_set(err, r, "cannot compute a template digest") : 0;
}

int assay_checker_digests(struct assay_checker *c, const struct assay_record *record,
			  struct assay_record_digests *ret, struct assay_err *err)
{
	int r = assay_checker_record(c, record, ret, err);

	return r < 0 ? r : assay_checker_extends(c, record, ret, err);
}
