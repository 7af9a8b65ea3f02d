/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TPM's public area (TPMT_PUBLIC, TPM 2.0 Library part 2, 12.2.4) of an RSA or ECC key: what it
 * may be used for, and the key as others write it.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/wr.h"
#include "formats/attest.h"

#define ASSAY_TPM_PUBLIC_MAX 1024 /* bytes */

/* TPMA_OBJECT, part 2, 8.3. */
enum {
	ASSAY_TPMA_FIXED_TPM = 1u << 1,
	ASSAY_TPMA_ST_CLEAR = 1u << 2,
	ASSAY_TPMA_FIXED_PARENT = 1u << 4,
	ASSAY_TPMA_SENSITIVE_DATA_ORIGIN = 1u << 5,
	ASSAY_TPMA_USER_WITH_AUTH = 1u << 6,
	ASSAY_TPMA_ADMIN_WITH_POLICY = 1u << 7,
	ASSAY_TPMA_NO_DA = 1u << 10,
	ASSAY_TPMA_ENCRYPTED_DUPLICATION = 1u << 11,
	ASSAY_TPMA_RESTRICTED = 1u << 16,
	ASSAY_TPMA_DECRYPT = 1u << 17,
	ASSAY_TPMA_SIGN = 1u << 18,
};

enum assay_tpm_key { ASSAY_TPM_KEY_RSA, ASSAY_TPM_KEY_ECC };

enum assay_tpm_curve { ASSAY_CURVE_P256, ASSAY_CURVE_P384, ASSAY_CURVE_P521, ASSAY_CURVE_COUNT };

struct assay_tpm_public {
	enum assay_tpm_key kind;
	enum assay_hash name_alg;
	uint32_t attributes;
	uint16_t scheme;      /* TPM_ALG_ID of the signature scheme, 0x0010: none fixed */
	uint16_t scheme_hash; /* TPM_ALG_ID */
	uint16_t bits;	      /* RSA */
	uint32_t exponent;    /* RSA; never 0 here */
	struct assay_bytes modulus;
	enum assay_tpm_curve curve; /* ECC */
	struct assay_bytes x, y;
	struct assay_bytes area; /* TPMT_PUBLIC: what the name is the digest of */
};

/* Whether @in may be one at all: a TPM2B_PUBLIC (with its size) or a TPMT_PUBLIC. */
bool assay_tpm_public_is(struct assay_bytes in);

/* Borrows from @in. Errors: -EBADMSG, -E2BIG, -EOPNOTSUPP another kind of object, curve
 * or nameAlg. */
int assay_tpm_public_parse(struct assay_bytes in, struct assay_tpm_public *ret,
			   struct assay_err *err);

#define ASSAY_TPM_SPKI_MAX 640

/* The key as DER SubjectPublicKeyInfo. */
void assay_tpm_public_spki(const struct assay_tpm_public *p, struct assay_wr *w);

/* The first thing that keeps the key from being an attestation key, or NULL: an attestation key is
 * bound to its TPM, made in it, and signs only what the TPM itself has put together. */
const char *assay_tpm_public_not_ak(const struct assay_tpm_public *p);
