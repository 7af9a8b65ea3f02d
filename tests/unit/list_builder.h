/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes measurement lists for tests: records with right digests, batch records, PCR values. */
#pragma once

#include "backends/crypto_openssl/crypto_openssl.h"
#include "engine/checker.h"
#include "formats/batch.h"
#include "formats/mlist.h"

struct list_builder {
	struct assay_crypto crypto;
	struct assay_wr w;
	uint8_t buf[1 << 16];
	uint64_t records, batches;
	size_t last;	     /* offset of the last record */
	uint64_t pend_first; /* the records that the next batch record covers */
	size_t pend_offset;
};

static inline void builder_init(struct list_builder *b, const struct assay_crypto *port)
{
	memset(b, 0, sizeof(*b));
	b->crypto = *port;
	b->w = assay_wr(b->buf, sizeof(b->buf));
}

static inline void builder_record(struct list_builder *b, uint32_t pcr, const char *template,
				  const struct assay_template_facts *facts)
{
	struct assay_record r = { .pcr = pcr, .template_name = assay_bytes_str(template) };
	uint8_t data[8192], digest[20] = { 0 };
	struct assay_wr w = assay_wr(data, sizeof(data));
	struct assay_template t;

	assert_int_equal(assay_template_parse(r.template_name, &t, NULL), 0);
	assert_int_equal(assay_template_encode(&t, facts, &w), 0);
	r.data = assay_wr_done(&w);
	r.legacy = t.legacy;
	if (facts->digest)
		assert_int_equal(assay_template_digest(&b->crypto, ASSAY_HASH_SHA1, &r, digest), 0);
	r.template_digest = assay_bytes(digest, sizeof(digest));
	b->last = b->w.len;
	assay_record_encode(&r, &b->w);
	assert_true(assay_wr_ok(&b->w));
	b->records++;
}

/* A file whose digest is made of its name; no name: a violation. */
static inline void builder_file(struct list_builder *b, uint32_t pcr, const char *name,
				bool violation)
{
	struct assay_digest d = { .alg = ASSAY_HASH_SHA256 };
	struct assay_template_facts f = { .violation_alg = ASSAY_HASH_SHA256,
					  .name = assay_bytes_str(name) };

	assert_int_equal(b->crypto.ops->hash(b->crypto.ctx, d.alg, f.name, d.data), 0);
	if (!violation)
		f.digest = &d;
	builder_record(b, pcr, "ima-ng", &f);
}

static inline void builder_buffer(struct list_builder *b, uint32_t pcr, const char *name,
				  struct assay_bytes buf)
{
	struct assay_digest d = { .alg = ASSAY_HASH_SHA256 };
	struct assay_template_facts f = { .digest = &d, .name = assay_bytes_str(name), .buf = buf };

	assert_int_equal(b->crypto.ops->hash(b->crypto.ctx, d.alg, buf, d.data), 0);
	builder_record(b, pcr, "ima-buf", &f);
}

static inline void builder_state(struct list_builder *b, const char *text)
{
	builder_buffer(b, 10, ASSAY_STATE_NAME, assay_bytes_str(text));
}

/* From here on records wait for the next builder_batch(). */
static inline void builder_wait(struct list_builder *b)
{
	b->pend_first = b->records;
	b->pend_offset = b->w.len;
}

/* The batch of @pcr over the records of @pcr since builder_wait(), computed in one piece. */
static inline struct assay_batch builder_batch_of(struct list_builder *b, uint32_t pcr)
{
	struct assay_batch batch = { .sequence = ++b->batches, .n_banks = 2 };
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_rd in =
		assay_rd(assay_bytes(b->buf + b->pend_offset, b->w.len - b->pend_offset));
	static uint8_t covered[1 << 16];
	struct assay_wr w = assay_wr(covered, sizeof(covered));
	struct assay_record r;

	for (uint64_t i = b->pend_first; !assay_rd_end(&in); i++) {
		assert_int_equal(assay_record_parse(&in, &form, &r, NULL), 0);
		if (r.pcr != pcr || assay_bytes_is(r.template_name, "ima-sig"))
			continue;
		if (batch.count++ == 0)
			batch.first = i;
		assay_batch_head(pcr, r.template_name, r.violation, r.data.len, &w);
		assay_wr_bytes(&w, r.data);
	}
	batch.digest[0].alg = ASSAY_HASH_SHA1;
	batch.digest[1].alg = ASSAY_HASH_SHA256;
	for (int i = 0; i < 2; i++)
		assert_int_equal(b->crypto.ops->hash(b->crypto.ctx, batch.digest[i].alg,
						     assay_wr_done(&w), batch.digest[i].data),
				 0);
	return batch;
}

static inline void builder_put_batch(struct list_builder *b, uint32_t pcr,
				     const struct assay_batch *batch)
{
	uint8_t buf[ASSAY_BATCH_SIZE_MAX];
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	assay_batch_encode(batch, &w);
	builder_buffer(b, pcr, ASSAY_BATCH_NAME, assay_wr_done(&w));
}

static inline void builder_batch(struct list_builder *b, uint32_t pcr)
{
	struct assay_batch batch = builder_batch_of(b, pcr);

	builder_put_batch(b, pcr, &batch);
}
