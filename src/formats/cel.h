/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records of the TCG Canonical Event Log (CEL, version 1.0) with content of type IMA_TEMPLATE: in
 * TLV (its section "TLV encoding") and in JSON (its section "JSON encoding"). Written only; what
 * each byte is: docs/formats/cel.md.
 */
#pragma once

#include "formats/mlist.h"
#include "formats/pcr.h"

struct assay_cel {
	uint64_t recnum; /* from 0, without gaps */
	uint32_t pcr;
	const struct assay_banks *banks;       /* of the digests */
	const struct assay_pcr_value *digests; /* what was extended */
	struct assay_bytes template_name, template_data;
};

/* Bytes that either needs at most. */
static inline size_t assay_cel_bound(const struct assay_cel *c)
{
	return 4096 + 2 * (c->template_name.len + c->template_data.len);
}

void assay_cel_encode(const struct assay_cel *c, struct assay_wr *w);
/* An object of the array that a JSON log is, without comma or newline. */
void assay_cel_print(const struct assay_cel *c, struct assay_wr *w);
