/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TPM 2.0 as anchor, through tpm2-tss: ESYS over the TCTI that a string names (tctildr). One
 * thread at a time.
 */
#pragma once

#include "engine/ports.h"

struct assay_anchor_tpm2;

enum assay_tpm_session {
	ASSAY_TPM_SESSION_NONE, /* password authorisation, in the clear on the bus */
	ASSAY_TPM_SESSION_HMAC, /* HMAC session salted to the endorsement key */
};

struct assay_anchor_tpm2_config {
	size_t size;
	const char *tcti;    /* tctildr's string; NULL: $TCTI is not read, tctildr's default */
	uint32_t timeout_ms; /* of one command; 0: 20000 */
	enum assay_tpm_session session;
};

/* Connects and reads the allocated banks. Errors: -ENODEV no TPM there, -EIO, -ETIMEDOUT. */
int assay_anchor_tpm2_new(const struct assay_anchor_tpm2_config *config,
			  struct assay_anchor_tpm2 **ret, struct assay_err *err);
void assay_anchor_tpm2_free(struct assay_anchor_tpm2 *a);
AUTO_DEFINE(anchor_tpm2);

struct assay_anchor assay_anchor_tpm2_port(struct assay_anchor_tpm2 *a);

enum assay_ak_algorithm { ASSAY_AK_ECC_P256, ASSAY_AK_RSA_2048 };

#define ASSAY_AK_BLOB_MAX 1024

/* TPM2B_PUBLIC and TPM2B_PRIVATE of an attestation key under the owner's storage primary key. */
struct assay_ak {
	uint8_t public[ASSAY_AK_BLOB_MAX], private[ASSAY_AK_BLOB_MAX];
	size_t public_len, private_len;
};

/* Makes a restricted signing key (fixedTPM, fixedParent, sensitiveDataOrigin, not decrypt). */
int assay_anchor_tpm2_create_ak(struct assay_anchor_tpm2 *a, enum assay_ak_algorithm algorithm,
				struct assay_ak *ret, struct assay_err *err);
