/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TPMS_ATTEST and TPMT_SIGNATURE: what is parsed, written and parsed again is written the same. */
#include <stdlib.h>

#include "formats/attest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t one[4096], two[4096];
	struct assay_wr w = assay_wr(one, sizeof(one)), again = assay_wr(two, sizeof(two));
	struct assay_tpm_signature s;
	struct assay_attest a;

	if (assay_attest_parse(assay_bytes(data, size), &a, NULL) == 0) {
		assay_attest_encode(&a, &w);
		if (!assay_wr_ok(&w) || assay_attest_parse(assay_wr_done(&w), &a, NULL) < 0)
			abort();
		assay_attest_encode(&a, &again);
		if (!assay_bytes_equal(assay_wr_done(&w), assay_wr_done(&again)))
			abort();
	}
	if (assay_tpm_signature_parse(assay_bytes(data, size), &s, NULL) == 0) {
		w = assay_wr(one, sizeof(one));
		assay_tpm_signature_encode(&s, &w);
		if (!assay_bytes_equal(assay_wr_done(&w), assay_bytes(data, size)))
			abort();
		assay_tpm_signature_der(&s, &again);
	}
	return 0;
}
