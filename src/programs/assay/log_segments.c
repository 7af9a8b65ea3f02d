/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/log_segments.h"

#include <stdio.h>
#include <stdlib.h>

#define ALL_PCRS ((1u << ASSAY_PCRS) - 1)

/* What the next segment began with, where that may be what this one leads to. */
static void claim_base(const struct assay_segment_head *head, const struct assay_segment_head *next,
		       struct log_claims *c)
{
	for (uint32_t i = 0; next->start == ASSAY_SEGMENT_BROKEN && i < next->banks.n; i++) {
		bool has_bank = assay_banks_find(&head->banks, next->banks.alg[i], NULL);

		for (uint32_t p = 0; has_bank && p < ASSAY_PCRS; p++) {
			struct assay_pcr_claim *claim = &c->claim[c->n++];

			*claim = (struct assay_pcr_claim){ .alg = next->banks.alg[i], .pcr = p };
			memcpy(claim->value, next->base[p].value[i], sizeof(claim->value));
		}
	}
}

static void take_pcrs(const struct assay_verify *v, uint32_t *ret_pcrs, uint32_t *ret_reached)
{
	struct assay_pcr_finding f;

	*ret_pcrs = *ret_reached = 0;
	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		if (!assay_verify_pcr(v, p, &f))
			continue;
		*ret_pcrs |= (uint32_t)(f.entries > 0) << p;
		*ret_reached |= (uint32_t)(f.n_claims && f.state == ASSAY_PCR_REACHED) << p;
	}
}

struct log_segment *log_segments_walk(const struct log_list *list,
				      const struct log_verify_options *o,
				      const struct assay_crypto *crypto)
{
	struct log_segment *all = calloc(list->n, sizeof(*all));
	struct log_claims *claims = malloc(sizeof(*claims)); /* large */
	char label[64];

	for (size_t i = 0; all && claims && i < list->n; i++) {
		struct log_segment *s = &all[i];

		s->path = list->part[i].path;
		s->head = list->part[i].input.head;
		if (i + 1 == list->n)
			break;
		memset(claims, 0, sizeof(*claims));
		claim_base(s->head, list->part[i + 1].input.head, claims);
		snprintf(label, sizeof(label),
			 "segment %llu: ", (unsigned long long)s->head->number);
		log_examine(&list->part[i].input, claims, o, crypto, label, &s->found);
		if (s->found.verify)
			take_pcrs(s->found.verify, &s->pcrs, &s->reached);
		log_found_done(&s->found);
	}
	if (!claims) {
		free(all);
		all = NULL;
	}
	free(claims);
	return all;
}

/* Whether a PCR that it has entries of held something before them. */
static bool begins_elsewhere(const struct log_segment *s)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		for (uint32_t i = 0; (s->pcrs & 1u << p) && i < s->head->banks.n; i++)
			if (!assay_bytes_all(assay_bytes(s->head->base[p].value[i],
							 ASSAY_HASH_SIZE_MAX),
					     0))
				return true;
	return false;
}

void log_segments_judge(struct log_segment *s, const struct log_list *list, uint64_t first,
			bool vouched, const struct log_found *last,
			const struct assay_crypto *crypto)
{
	struct assay_chain_segment *c = calloc(list->n, sizeof(*c));
	size_t end = list->n - 1;
	uint32_t ignored;

	s[end].found = *last;
	take_pcrs(last->verify, &s[end].pcrs, &ignored);
	for (size_t i = 0; i < list->n; i++) {
		struct assay_bytes records = list->part[i].input.list;

		if (!c) {
			s[i].link.fault = ASSAY_CHAIN_UNVOUCHED;
			snprintf(s[i].link.why, sizeof(s[i].link.why), "out of memory");
			continue;
		}
		c[i] = (struct assay_chain_segment){
			.head = s[i].head,
			.len = records.len,
			.vouched = i == end ? vouched : s[i].found.sum.head_said,
			.pcrs = s[i].pcrs,
		};
		/* A digest that cannot be computed is nobody's. */
		if (i != end &&
		    crypto->ops->hash(crypto->ctx, ASSAY_HASH_SHA256, records, c[i].digest) < 0)
			memset(c[i].digest, 0, sizeof(c[i].digest));
		(void)assay_chain_judge(c, i, first, &s[i].link);
		if (i > 0 && s[i].head->start == ASSAY_SEGMENT_BROKEN)
			s[i].gap = s[i - 1].reached != ALL_PCRS;
		else
			s[i].gap = begins_elsewhere(&s[i]);
	}
	free(c);
}
