/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A boot_aggregate held against the PCRs that it is the digest of: whether the list is of the boot
 * whose firmware and boot loader the values tell. The kernel's rule: PCR 0 to 9 of the digest's
 * bank, of sha1 PCR 0 to 7; Linux 5.8 stopped at 7 in every bank.
 *
 * Only what a list begins with is surely one. A later entry of the name is that of a kernel which
 * kexec started, or of anybody's file: the kernel names a file by its last component where the path
 * is too long for it.
 */
#pragma once

#include "engine/ports.h"
#include "engine/verify.h"

/* What an entry says. */
struct assay_boot {
	uint64_t index;	 /* of the entry */
	uint64_t placed; /* it was extended before the steps from this entry on; UINT64_MAX: no */
	uint32_t pcr;	 /* that it extended */
	bool first;	 /* nothing but records of assayd about itself stands before it */
	struct assay_digest digest;
};

enum assay_boot_state {
	ASSAY_BOOT_DIFFERS,
	ASSAY_BOOT_NONE,    /* no entry that is surely one and that the values prove */
	ASSAY_BOOT_UNKNOWN, /* PCRs are not at hand */
	ASSAY_BOOT_AGREES,
};

struct assay_boot_finding {
	enum assay_boot_state state;
	struct assay_boot said; /* not for NONE */
	uint32_t pcrs;		/* that it was computed over, or would be; a bit each */
	uint32_t missing;   /* UNKNOWN: of these, those that are not at hand as they were then */
	bool zero;	    /* DIFFERS: it says nothing, a kernel without a TPM made it */
	bool first_differs; /* AGREES: that is another one than the list's first, which does not */
};

/* Whether this has the name and the shape of a boot_aggregate, and what it says. */
bool assay_boot_read(const struct assay_template_data *cut, struct assay_digest *ret);

/*
 * Judges the first of the list, if the values given to @v prove it. Where it agrees, or cannot be
 * compared, others change nothing: PCRs that still are what the first kernel found were not changed
 * before a kexec. Else the PCRs may have changed before a kexec, and one of the others that is
 * proved and agrees settles it. Errors: of the crypto.
 */
int assay_boot_judge(const struct assay_crypto *crypto, const struct assay_verify *v,
		     const struct assay_pcr_claim *claims, size_t n_claims,
		     const struct assay_boot *said, size_t n, struct assay_boot_finding *ret);
