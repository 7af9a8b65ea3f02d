/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Quote files: one that is accepted is written back byte for byte. PCR files of tpm2-tools: what is
 * accepted has as many values as its selection. */
#include <stdlib.h>

#include "formats/quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct assay_selection selection = {
		.n = 1, .bank = { { .alg = ASSAY_HASH_SHA256, .mask = 0xc00 } }
	};
	static uint8_t back[ASSAY_QUOTE_SIZE_MAX];
	static struct assay_quote q;
	struct assay_wr w = assay_wr(back, sizeof(back));

	if (assay_quote_parse(assay_bytes(data, size), &q, NULL) == 0) {
		assay_quote_encode(&q, &w);
		if (!assay_bytes_equal(assay_wr_done(&w), assay_bytes(data, size)))
			abort();
	}
	if (assay_quote_parse_tools(assay_bytes(data, size), &selection, &q.pcrs, NULL) == 0 &&
	    q.pcrs.n > ASSAY_QUOTE_PCRS_MAX)
		abort();
	return 0;
}
