/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TPM keys: one that is accepted can be written as SubjectPublicKeyInfo, whose bits it holds. */
#include <stdlib.h>

#include "formats/tpm_public.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t spki[ASSAY_TPM_SPKI_MAX];
	struct assay_wr w = assay_wr(spki, sizeof(spki));
	struct assay_tpm_public p;

	if (assay_tpm_public_parse(assay_bytes(data, size), &p, NULL) < 0)
		return 0;
	assay_tpm_public_spki(&p, &w);
	if (!assay_wr_ok(&w) || p.area.len > size)
		abort();
	return 0;
}
