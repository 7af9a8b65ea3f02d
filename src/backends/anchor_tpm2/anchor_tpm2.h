/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TPM 2.0 as anchor, through tpm2-tss: ESYS over the TCTI that a string names (tctildr). One
 * thread at a time. No call waits longer than the time-out of one command, times the few commands
 * that it is made of.
 *
 * tpm2-tss prints on stderr by itself unless the environment says TSS2_LOG=all+NONE; a program that
 * does not want that sets it first thing in main(), before there are threads.
 */
#pragma once

#include "engine/ports.h"
#include "formats/attest.h"

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
	/* With a session: the name of the endorsement key that must be found, as an earlier
	 * assay_anchor_tpm2_ek_name() gave it. Empty: whichever is there. */
	struct assay_bytes ek_name;
};

/*
 * Connects and reads the allocated banks. Errors: -ENODEV no TPM there, -EIO, -ETIMEDOUT;
 * -EOPNOTSUPP a bank is allocated whose algorithm assay does not know (docs/decisions);
 * -EKEYREJECTED another endorsement key than @ek_name.
 */
int assay_anchor_tpm2_new(const struct assay_anchor_tpm2_config *config,
			  struct assay_anchor_tpm2 **ret, struct assay_err *err);
void assay_anchor_tpm2_free(struct assay_anchor_tpm2 *a);
AUTO_DEFINE(anchor_tpm2);

struct assay_anchor assay_anchor_tpm2_port(struct assay_anchor_tpm2 *a);

/* The name of the endorsement key that the session is salted to; empty without a session. */
struct assay_bytes assay_anchor_tpm2_ek_name(const struct assay_anchor_tpm2 *a);

struct assay_tpm_info {
	char manufacturer[5];
	uint32_t firmware[2];
	uint32_t spec_revision; /* of the library specification, times 100: 138 is 1.38 */
	struct assay_banks banks;
	struct assay_tpm_clock clock;
};

int assay_anchor_tpm2_info(struct assay_anchor_tpm2 *a, struct assay_tpm_info *ret,
			   struct assay_err *err);

/* What keeps a TPM from being used, and whether its maker vouches for it. */
struct assay_tpm_health {
	bool in_lockout; /* authorisations that could be guessed are refused */
	uint32_t lockout_counter, lockout_max;
	bool owner_auth, endorsement_auth; /* have a password, which assay does not give */
	bool ek_certificate;		   /* in the NV indexes of the EK Credential Profile */
};

int assay_anchor_tpm2_health(struct assay_anchor_tpm2 *a, struct assay_tpm_health *ret,
			     struct assay_err *err);

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
