/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The quote file (docs/formats/quote.md, section 1): what was attested, its signature, and the PCR
 * values that it is the digest of. Also reads the PCR files of tpm2_quote. Checks shape only.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/wr.h"
#include "formats/attest.h"

#define ASSAY_QUOTE_PCRS_MAX (ASSAY_SELECTION_MAX * ASSAY_PCRS)
#define ASSAY_QUOTE_SIZE_MAX 65536 /* bytes of a file, ours or of tpm2_quote */

struct assay_quote_pcr {
	enum assay_hash bank;
	uint32_t pcr;
	uint8_t value[ASSAY_HASH_SIZE_MAX];
};

/* PCR values in the order in which the digest goes over them. */
struct assay_quote_pcrs {
	uint32_t n;
	struct assay_quote_pcr v[ASSAY_QUOTE_PCRS_MAX];
};

struct assay_quote {
	struct assay_bytes attest, signature; /* TPMS_ATTEST, TPMT_SIGNATURE; borrowed */
	struct assay_quote_pcrs pcrs;
};

/* Errors: -EBADMSG malformed, a value twice, bytes left over; -EOPNOTSUPP unknown version or bank;
 * -E2BIG. */
int assay_quote_parse(struct assay_bytes file, struct assay_quote *ret, struct assay_err *err);
void assay_quote_encode(const struct assay_quote *q, struct assay_wr *w);

/*
 * A file of tpm2_quote -o: "serialized" (the C structures of tpm2-tss, little-endian: the default)
 * or "values" (nothing but the values, which then belong to @selection, the one that was quoted).
 */
int assay_quote_parse_tools(struct assay_bytes file, const struct assay_selection *selection,
			    struct assay_quote_pcrs *ret, struct assay_err *err);
