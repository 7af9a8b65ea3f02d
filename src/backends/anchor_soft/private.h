/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this folder share. */
#pragma once

#include <openssl/evp.h>

#include "backends/anchor_soft/anchor_soft.h"
#include "formats/attest.h"

#define SOFT_BANKS     4u
#define SOFT_BOOT_ID   36u /* characters of /proc/sys/kernel/random/boot_id */
#define SOFT_FILE_SIZE (8 + 4 + SOFT_BOOT_ID + ASSAY_PCRS * (20 + 32 + 48 + 64) + 32)

struct soft_state {
	uint32_t resets;
	char boot_id[SOFT_BOOT_ID];
	struct assay_pcr_value pcr[ASSAY_PCRS];
};

/* ---- state.c: the file "soft-anchor" ---- */

extern const struct assay_banks assay_anchor_soft_banks;

/* Its bytes: docs/formats/soft-anchor.md. Errors: -EBADMSG, or the hash's. */
int assay_anchor_soft_parse(struct assay_bytes file, const struct assay_crypto *crypto,
			    struct soft_state *ret);
int assay_anchor_soft_encode(const struct soft_state *state, const struct assay_crypto *crypto,
			     uint8_t ret[static SOFT_FILE_SIZE]);

int assay_anchor_soft_load(int dirfd, const struct assay_crypto *crypto, struct soft_state *ret,
			   struct assay_err *err);
int assay_anchor_soft_store(int dirfd, const struct assay_crypto *crypto,
			    const struct soft_state *state, struct assay_err *err);

/* ---- sign.c: the key and what it signs ---- */

int assay_anchor_soft_key(int dirfd, EVP_PKEY **ret, struct assay_err *err);
/* TPMS_ATTEST (with the software magic) and TPMT_SIGNATURE of @attest, whose signer is filled in
 * here. */
int assay_anchor_soft_sign(EVP_PKEY *key, const struct assay_crypto *crypto,
			   struct assay_attest *attest, struct assay_quote_reply *ret,
			   struct assay_err *err);
