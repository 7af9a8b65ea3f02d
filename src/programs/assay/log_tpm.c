/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PCR values as a TPM has them now. */
#include <stdlib.h>

#include "backends/anchor_tpm2/anchor_tpm2.h"
#include "programs/assay/log.h"

int log_claims_tpm(struct log_claims *c, const char *tcti, struct assay_err *err)
{
	struct assay_anchor_tpm2_config config = { .size = sizeof(config), .tcti = tcti };
	AUTO(anchor_tpm2) struct assay_anchor_tpm2 *tpm = NULL;
	struct assay_pcr_value values[ASSAY_PCRS];
	struct assay_tpm_clock clock;
	struct assay_banks banks;
	struct assay_anchor port;
	int r;

	setenv("TSS2_LOG", "all+NONE", 0); /* our message says it once */
	r = assay_anchor_tpm2_new(&config, &tpm, err);
	if (r < 0)
		return r;
	port = assay_anchor_tpm2_port(tpm);
	r = port.ops->banks(port.ctx, &banks, err);
	if (r == 0)
		r = port.ops->read(port.ctx, (1u << ASSAY_PCRS) - 1, values, &clock, err);
	for (uint32_t p = 0; r == 0 && p < ASSAY_PCRS; p++)
		for (uint32_t b = 0; r == 0 && b < banks.n; b++) {
			struct assay_pcr_claim claim = { .alg = banks.alg[b], .pcr = p };

			memcpy(claim.value, values[p].value[b], sizeof(claim.value));
			r = log_claims_add_value(c, false, &claim, err);
		}
	return r;
}
