/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records that the measurer makes about itself: state, mode, batches. */
#include "engine/core/core.h"

#include <errno.h>

/* The named buffer as an "ima-buf" record. */
static int append_buffer(struct assay_core *c, struct assay_new_record *rec, const char *name,
			 struct assay_bytes buf, uint64_t *ret_index, struct assay_err *err)
{
	struct assay_digest digest = { .alg = c->config.hash };
	uint64_t index;
	bool is_new;
	int rc = c->ports.crypto.ops->hash(c->ports.crypto.ctx, digest.alg, buf, digest.data);

	if (rc < 0)
		return assay_err_set(err, rc, "cannot hash a buffer");
	rec->template = &c->buffer;
	rec->facts.digest = &digest;
	rec->facts.name = assay_bytes_str(name);
	rec->facts.buf = buf;
	rec->keep_equal = true;
	rc = assay_core_append(c, rec, &index, &is_new, err);
	if (rc == 0 && ret_index)
		*ret_index = index;
	return rc;
}

int assay_core_buffer(struct assay_core *c, uint32_t pcr, const char *name, struct assay_bytes buf,
		      uint64_t *ret_index, struct assay_err *err)
{
	struct assay_new_record rec = { .pcr = pcr };

	return append_buffer(c, &rec, name, buf, ret_index, err);
}

int assay_core_gap(struct assay_core *c, struct assay_bytes buf, uint64_t *ret_index,
		   struct assay_err *err)
{
	struct assay_new_record rec = { .pcr = c->config.pcr, .reserve = true };

	return append_buffer(c, &rec, ASSAY_STATE_NAME, buf, ret_index, err);
}

int assay_core_set_batching(struct assay_core *c, enum assay_batching mode, const char *word,
			    struct assay_err *err)
{
	struct assay_new_record rec = { .pcr = c->config.pcr, .alone = true, .reserve = true };
	uint8_t buf[128];
	struct assay_wr w = assay_wr(buf, sizeof(buf));
	int rc;

	if (assay_core_pending(c))
		return assay_err_set(err, -EBUSY, "records wait for their batch record");
	assay_state_begin(&w, "mode");
	assay_state_add(&w, "mode", assay_bytes_str(word));
	rc = append_buffer(c, &rec, ASSAY_STATE_NAME, assay_wr_done(&w), NULL, err);
	if (rc == 0)
		c->mode = mode;
	return rc;
}

uint32_t assay_core_pending(const struct assay_core *c)
{
	return assay_batcher_pending(&c->batcher);
}

int assay_core_commit(struct assay_core *c, uint32_t pcr, uint64_t *ret_index,
		      struct assay_err *err)
{
	struct assay_new_record rec = { .pcr = pcr, .alone = true, .reserve = true };
	uint8_t buf[ASSAY_BATCH_SIZE_MAX];
	struct assay_wr w = assay_wr(buf, sizeof(buf));
	struct assay_batch batch;
	int rc = assay_batcher_seal(&c->batcher, pcr, &batch);

	if (rc < 0)
		return assay_err_set(err, rc, "no batch for PCR %u", pcr);
	assay_batch_encode(&batch, &w);
	rc = append_buffer(c, &rec, ASSAY_BATCH_NAME, assay_wr_done(&w), ret_index, err);
	if (rc == 0)
		assay_batcher_covered(&c->batcher, pcr, batch.sequence);
	return rc;
}

/* The event name and buffer of an "ima-buf" record; false if it is none. */
static bool cut_buffer(const struct assay_core *c, const struct assay_record *record,
		       struct assay_bytes *ret_name, struct assay_bytes *ret_buf)
{
	struct assay_template_data d;

	if (!assay_bytes_equal(record->template_name, c->buffer.name) || record->violation)
		return false;
	if (assay_template_cut(&c->buffer.template, record->data, false, &d, NULL) < 0)
		return false;
	*ret_name = assay_template_field(&d, ASSAY_FIELD_N_NG);
	*ret_buf = assay_template_field(&d, ASSAY_FIELD_BUF);
	if (ret_name->len > 0)
		ret_name->len--; /* the NUL, which the cut has checked */
	return true;
}

int assay_core_restore_own(struct assay_core *c, const struct assay_record *record,
			   struct assay_err *err)
{
	struct assay_bytes name, buf, word;
	struct assay_batch batch;
	int rc;

	if (!cut_buffer(c, record, &name, &buf))
		return 0;
	if (assay_bytes_is(name, ASSAY_BATCH_NAME) && assay_batch_is(buf)) {
		rc = assay_batch_parse(buf, &batch, err);
		if (rc == 0)
			assay_batcher_covered(&c->batcher, record->pcr, batch.sequence);
		return rc;
	}
	if (!assay_bytes_is(name, ASSAY_STATE_NAME) || !assay_state_is(buf) ||
	    !assay_bytes_is(assay_state_get(buf, "event"), "mode"))
		return 0;
	word = assay_state_get(buf, "mode");
	c->mode = assay_bytes_is(word, "each") ? ASSAY_BATCHING_EACH : ASSAY_BATCHING_GROUP;
	return 0;
}
