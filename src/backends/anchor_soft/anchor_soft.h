/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An anchor for machines without a TPM: PCRs in a file, quotes signed by a local key. It says what
 * it is (ASSAY_ANCHOR_SOFT, and the magic of its quotes) and proves nothing against who can write
 * its files; it is never presented as hardware. docs/formats/soft-anchor.md.
 */
#pragma once

#include "engine/ports.h"

struct assay_anchor_soft;

/*
 * State and key live in @dirfd (borrowed), as "soft-anchor", "soft-anchor.key" (private) and
 * "soft-anchor.pem" (public, for verifiers); made if absent. Like a TPM's, the PCRs begin again
 * with each boot of the machine. The port @crypto is copied. Errors: -EBADMSG a damaged file
 * (nothing is changed), -ENOMEM, errno of the file calls.
 */
int assay_anchor_soft_new(int dirfd, const struct assay_crypto *crypto,
			  struct assay_anchor_soft **ret, struct assay_err *err);
void assay_anchor_soft_free(struct assay_anchor_soft *a);
AUTO_DEFINE(anchor_soft);

struct assay_anchor assay_anchor_soft_port(struct assay_anchor_soft *a);
