/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PCR values as text: what is taken, written as BANK:INDEX:HEX, is taken again as what it was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "programs/assay/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct log_claims first, second;
	struct assay_err err = { 0 };

	first.n = second.n = 0;
	if (log_claims_parse(&first, assay_bytes(data, size), &err) < 0)
		return err.text[0] && err.line ? 0 : (abort(), 0);
	for (size_t i = 0; i < first.n; i++) {
		const struct assay_pcr_claim *c = &first.claim[i];
		char hex[2 * ASSAY_HASH_SIZE_MAX + 1], text[256];

		assay_hex_encode(assay_bytes(c->value, assay_hash_size(c->alg)), hex);
		snprintf(text, sizeof(text), "%s:%u:%s", assay_hash_name(c->alg), c->pcr, hex);
		if (log_claims_add(&second, text, &err) < 0)
			abort();
	}
	if (first.n != second.n ||
	    memcmp(first.claim, second.claim, first.n * sizeof(first.claim[0])) != 0)
		abort();
	return 0;
}
