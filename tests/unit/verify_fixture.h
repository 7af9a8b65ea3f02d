/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A walk over a list that is held against PCR values, and the values that a list leads to. */
#pragma once

#include "engine/verify.h"
#include "unit/crypto_fixture.h"
#include "unit/list_builder.h"

static const struct assay_list_form plain = { .column = ASSAY_HASH_SHA1 };

struct claims {
	struct assay_pcr_claim claim[64];
	size_t n;
};

static inline void add_claim(struct claims *c, enum assay_hash alg, uint32_t pcr,
			     const uint8_t *value)
{
	c->claim[c->n] = (struct assay_pcr_claim){ .alg = alg, .pcr = pcr };
	memcpy(c->claim[c->n++].value, value, assay_hash_size(alg));
}

static inline struct assay_verify *new_verify(const struct assay_list_form *form,
					      const struct claims *c, bool padded, bool quick)
{
	struct assay_verify_config config = { .size = sizeof(config),
					      .crypto = crypto,
					      .form = *form,
					      .claims = c->claim,
					      .n_claims = c->n,
					      .padded = padded,
					      .quick = quick };
	struct assay_verify *v = NULL;
	struct assay_err err = { 0 };

	if (assay_verify_new(&config, &v, &err) < 0)
		fail_msg("%s", err.text);
	return v;
}

static inline int walk(struct assay_verify *v, const struct assay_list_form *form,
		       struct assay_bytes list)
{
	struct assay_checker checker = *assay_verify_checker(v);
	struct assay_rd in = assay_rd(list);
	int r = 0;

	while (r == 0 && !assay_rd_end(&in)) {
		uint64_t offset = assay_rd_offset(&in);
		struct assay_record_digests digests;
		struct assay_record record;

		r = assay_record_parse(&in, form, &record, NULL);
		if (r == 0)
			r = assay_checker_digests(&checker, &record, &digests, NULL);
		if (r == 0)
			r = assay_verify_record(v, &record, offset, &digests, NULL);
	}
	return r;
}

/* What the PCRs would be. */
static inline void replay_claims(const struct assay_list_form *form, struct assay_bytes list,
				 struct claims *ret)
{
	static const uint8_t zero[64];
	struct claims dummy = { 0 };
	AUTO(verify) struct assay_verify *v = NULL;

	*ret = (struct claims){ 0 };
	add_claim(&dummy, ASSAY_HASH_SHA1, 10, zero);
	add_claim(&dummy, ASSAY_HASH_SHA256, 10, zero);
	v = new_verify(form, &dummy, false, false);
	assert_int_equal(walk(v, form, list), 0);
	for (uint32_t pcr = 10; pcr < 12; pcr++) {
		const struct assay_pcr_value *value =
			assay_replay_value(assay_verify_replay(v), pcr, ASSAY_EXTEND_REAL);

		add_claim(ret, ASSAY_HASH_SHA1, pcr, value->value[0]);
		add_claim(ret, ASSAY_HASH_SHA256, pcr, value->value[1]);
	}
}
