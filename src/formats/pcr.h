/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a TPM 2.0 says of its PCRs and its clock, as plain structs. */
#pragma once

#include "base/bytes.h"
#include "formats/hash.h"

#define ASSAY_BANKS_MAX 8  /* PCR banks of one TPM */
#define ASSAY_PCRS	24 /* PCRs of a TPM (PC Client Platform TPM Profile) */

/* TPMS_CLOCK_INFO, TPM 2.0 Library part 2, 10.11.1. */
struct assay_tpm_clock {
	uint64_t clock; /* ms that the TPM has run, over resets */
	uint32_t reset_count, restart_count;
	bool safe;
};

/* The allocated banks, in the TPM's order. */
struct assay_banks {
	enum assay_hash alg[ASSAY_BANKS_MAX];
	uint32_t n;
};

/* Where the bank of @alg is; @ret may be NULL. */
bool assay_banks_find(const struct assay_banks *banks, enum assay_hash alg, uint32_t *ret);
/* The same ones, in the same order. */
bool assay_banks_equal(const struct assay_banks *a, const struct assay_banks *b);

/* One PCR in all banks: value[i] belongs to banks.alg[i]. */
struct assay_pcr_value {
	uint8_t value[ASSAY_BANKS_MAX][ASSAY_HASH_SIZE_MAX];
};
