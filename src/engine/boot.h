/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A boot_aggregate held against the PCRs that it is the digest of: whether the list is of the boot
 * whose firmware and boot loader the values tell. The kernel's rule: PCR 0 to 9 of the digest's
 * bank, of sha1 PCR 0 to 7; Linux 5.8 stopped at 7 in every bank.
 */
#pragma once

#include "engine/ports.h"
#include "engine/verify.h"

/* What an entry says. */
struct assay_boot {
	uint64_t index;	 /* of the entry */
	uint64_t placed; /* it was extended before the steps from this entry on; UINT64_MAX: no */
	uint32_t pcr;	 /* that it extended */
	struct assay_digest digest;
};

enum assay_boot_state {
	ASSAY_BOOT_DIFFERS,
	ASSAY_BOOT_NONE,    /* no entry, or none that the values prove */
	ASSAY_BOOT_UNKNOWN, /* PCRs are not at hand */
	ASSAY_BOOT_AGREES,
};

struct assay_boot_finding {
	enum assay_boot_state state;
	struct assay_boot said; /* not for NONE */
	uint32_t pcrs;		/* that it was computed over, or would be; a bit each */
	uint32_t missing; /* UNKNOWN: of these, those that are not at hand as they were then */
	bool zero;	  /* DIFFERS: it says nothing, a kernel without a TPM made it */
};

/* Whether this is a boot_aggregate, and what it says. */
bool assay_boot_read(const struct assay_template_data *cut, struct assay_digest *ret);

/* Judges the last of @said, in list order, that the values given to @v prove. Errors: of the
 * crypto. */
int assay_boot_judge(const struct assay_crypto *crypto, const struct assay_verify *v,
		     const struct assay_pcr_claim *claims, size_t n_claims,
		     const struct assay_boot *said, size_t n, struct assay_boot_finding *ret);
