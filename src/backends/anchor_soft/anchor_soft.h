/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An anchor for machines without a TPM: PCRs in a file, quotes signed by a local key. It says what
 * it is (ASSAY_ANCHOR_SOFT) and proves nothing against who can write its file; it is never
 * presented as hardware.
 */
#pragma once

#include "engine/ports.h"

struct assay_anchor_soft;

/* State and key live in @dirfd (borrowed), as "soft-anchor" and "soft-anchor.key"; made if absent.
 */
int assay_anchor_soft_new(int dirfd, struct assay_anchor_soft **ret, struct assay_err *err);
void assay_anchor_soft_free(struct assay_anchor_soft *a);
AUTO_DEFINE(anchor_soft);

struct assay_anchor assay_anchor_soft_port(struct assay_anchor_soft *a);
