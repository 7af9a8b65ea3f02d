/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/core/core.h"

#include <errno.h>

#include "engine/core/digest.h"

/* A record made from @rec, borrowing from the core's scratch, and its key for deduplication. */
struct encoded {
	struct assay_record record;
	uint8_t sha1[20];
	uint8_t key[ASSAY_HASH_SIZE_MAX];
};

static struct assay_bytes encoded_key(const struct assay_core *c, const struct encoded *e)
{
	return assay_bytes(e->key, assay_hash_size(c->config.hash));
}

static int encode_data(struct assay_core *c, const struct assay_new_record *rec,
		       struct encoded *ret, struct assay_err *err)
{
	struct assay_wr w = assay_wr(c->data, ASSAY_CORE_DATA_MAX);
	int rc = assay_template_encode(&rec->template->template, &rec->facts, &w);

	if (rc == -ENOSPC)
		return assay_err_set(err, -E2BIG, "a record of more than %u bytes",
				     ASSAY_CORE_DATA_MAX);
	if (rc < 0)
		return assay_err_set(err, rc, "template '%.*s' cannot hold this entry",
				     (int)rec->template->name.len, rec->template->name.data);
	ret->record.data = assay_wr_done(&w);
	return 0;
}

/* The digests of a record whose data, pcr and names are set. Those of a violation are zero. */
static int digest_record(struct assay_core *c, struct encoded *e, struct assay_err *err)
{
	const struct assay_crypto *crypto = &c->ports.crypto;
	int rc;

	e->record.template_digest = assay_bytes(e->sha1, sizeof(e->sha1));
	if (e->record.violation)
		return 0;
	rc = assay_template_digest(crypto, ASSAY_HASH_SHA1, &e->record, e->sha1);
	if (rc == 0)
		rc = assay_template_digest(crypto, c->config.hash, &e->record, e->key);
	return rc < 0 ? assay_err_set(err, rc, "cannot compute a template digest") : 0;
}

/* Whether a batch record will cover it. */
static bool is_covered(const struct assay_core *c, bool alone)
{
	return c->mode == ASSAY_BATCHING_GROUP && !alone;
}

/* The record goes to the list and into what is kept about the list; all or nothing, but for a hash
 * that fails after the write: then no further record is taken. */
static int put_record(struct assay_core *c, const struct encoded *e, bool covered, bool reserve,
		      struct assay_err *err)
{
	const struct assay_record *r = &e->record;
	struct assay_wr w = assay_wr(c->record, ASSAY_CORE_HEAD_MAX + ASSAY_CORE_DATA_MAX);
	int rc = 0;

	if (c->broken)
		return assay_err_set(err, -EIO, "an earlier record could not be hashed");
	if (covered)
		rc = assay_batcher_prepare(&c->batcher, r->pcr);
	if (rc < 0)
		return assay_err_set(err, rc, "cannot prepare the batch record of PCR %u", r->pcr);
	assay_record_encode(r, &w);
	if (!assay_wr_ok(&w))
		return assay_err_set(err, -E2BIG, "a record that is too long");
	rc = c->ports.append.ops->append(c->ports.append.ctx, assay_wr_done(&w), reserve);
	if (rc < 0)
		return assay_err_set(err, rc, "cannot append to the list");
	if (covered && assay_batcher_add(&c->batcher, c->records, r->pcr, r->template_name,
					 r->violation, r->data) < 0)
		c->broken = true;
	if (r->violation)
		c->violations++;
	else /* without memory it will be recorded again: more list, no less proof */
		(void)assay_dedup_add(&c->dedup, r->pcr, encoded_key(c, e), (uint32_t)c->records);
	c->records++;
	return 0;
}

int assay_core_append(struct assay_core *c, const struct assay_new_record *rec, uint64_t *ret_index,
		      bool *ret_new, struct assay_err *err)
{
	struct encoded e = { .record = { .pcr = rec->pcr,
					 .template_name = rec->template->name,
					 .legacy = rec->template->template.legacy,
					 .violation = rec->violation } };
	uint32_t equal;
	int rc;

	if (rec->pcr >= ASSAY_PCRS)
		return assay_err_set(err, -EINVAL, "no PCR %u", rec->pcr);
	rc = encode_data(c, rec, &e, err);
	if (rc < 0)
		return rc;
	rc = digest_record(c, &e, err);
	if (rc < 0)
		return rc;
	if (!rec->violation && !rec->keep_equal &&
	    assay_dedup_find(&c->dedup, rec->pcr, encoded_key(c, &e), &equal)) {
		*ret_index = equal;
		*ret_new = false;
		return 0;
	}
	rc = put_record(c, &e, is_covered(c, rec->alone), rec->reserve, err);
	if (rc < 0)
		return rc;
	*ret_index = c->records - 1;
	*ret_new = true;
	return 0;
}

int assay_core_adopt(struct assay_core *c, const struct assay_record *record, bool extended,
		     struct assay_err *err)
{
	struct encoded e = { .record = *record };
	int rc;

	if (record->pcr >= ASSAY_PCRS)
		return assay_err_set(err, -EINVAL, "no PCR %u", record->pcr);
	rc = digest_record(c, &e, err);
	return rc < 0 ? rc : put_record(c, &e, is_covered(c, extended), true, err);
}

int assay_core_restore(struct assay_core *c, const struct assay_record *record, bool pending,
		       struct assay_err *err)
{
	struct encoded e = { .record = *record };
	int rc;

	if (record->pcr >= ASSAY_PCRS)
		return assay_err_set(err, -EINVAL, "no PCR %u", record->pcr);
	rc = assay_core_restore_own(c, record, err);
	if (rc < 0)
		return rc;
	if (pending) {
		rc = assay_batcher_prepare(&c->batcher, record->pcr);
		if (rc == 0)
			rc = assay_batcher_add(&c->batcher, c->records, record->pcr,
					       record->template_name, record->violation,
					       record->data);
		if (rc < 0)
			return assay_err_set(err, rc, "cannot restore the batch of PCR %u",
					     record->pcr);
	}
	if (record->violation) {
		c->violations++;
	} else {
		rc = assay_template_digest(&c->ports.crypto, c->config.hash, record, e.key);
		if (rc < 0)
			return assay_err_set(err, rc, "cannot compute a template digest");
		/* Not asked for first: few are there twice, and then either will do. */
		(void)assay_dedup_add(&c->dedup, record->pcr, encoded_key(c, &e),
				      (uint32_t)c->records);
	}
	c->records++;
	return 0;
}
