/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a TPM says and signs of its PCRs: TPMS_ATTEST of a quote, TPMT_SIGNATURE, and selections of
 * PCRs (TPM 2.0 Library part 2, 10.12.12, 11.3.4, 10.9.7). Big-endian. Checks shape, not truth:
 * engine/quote.h judges. The bytes of a software anchor have the same shape and another magic.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/rd.h"
#include "base/wr.h"
#include "formats/pcr.h"

#define ASSAY_SELECTION_MAX	 16 /* banks in a selection: TPM2_NUM_PCR_BANKS */
#define ASSAY_SELECTION_TEXT_MAX 1024
#define ASSAY_NONCE_MAX		 64
#define ASSAY_TPM_NAME_MAX	 66 /* u16 nameAlg and the largest digest */

/* TPM_GENERATED_VALUE: a TPM signs nothing that it was given from outside and that begins so. */
#define ASSAY_ATTEST_MAGIC_TPM	0xff544347u
#define ASSAY_ATTEST_MAGIC_SOFT 0x41534f46u /* "ASOF": made by software */
#define ASSAY_ATTEST_QUOTE	0x8018u	    /* TPM_ST_ATTEST_QUOTE */

/* PCRs of some banks, in the order that the digest goes over them. */
struct assay_selection {
	uint32_t n;
	struct {
		enum assay_hash alg;
		uint32_t mask; /* bit per PCR */
	} bank[ASSAY_SELECTION_MAX];
};

/* "sha256:0,1,10+sha1:10", as tpm2-tools write it. Errors: -EBADMSG, -EOPNOTSUPP unknown bank,
 * -E2BIG more than ASSAY_SELECTION_TEXT_MAX bytes. */
int assay_selection_parse_text(struct assay_bytes text, struct assay_selection *ret,
			       struct assay_err *err);
void assay_selection_print(const struct assay_selection *s, struct assay_wr *w);
uint32_t assay_selection_count(const struct assay_selection *s); /* of values */

struct assay_attest {
	bool soft;			  /* the magic was the software anchor's */
	struct assay_bytes signer, nonce; /* qualifiedSigner, extraData */
	struct assay_tpm_clock clock;
	uint64_t firmware;
	struct assay_selection selection;
	struct assay_bytes pcr_digest;
};

/* Borrows from @in. Errors: -EBADMSG malformed, foreign magic or bytes left over, -EOPNOTSUPP an
 * attestation of another type, or an unknown bank. */
int assay_attest_parse(struct assay_bytes in, struct assay_attest *ret, struct assay_err *err);
void assay_attest_encode(const struct assay_attest *a, struct assay_wr *w);

enum assay_tpm_sig { ASSAY_TPM_SIG_RSASSA, ASSAY_TPM_SIG_ECDSA };

#define ASSAY_TPM_RSA_MAX 512 /* bytes of a modulus: RSA-4096 */
#define ASSAY_TPM_ECC_MAX 66  /* bytes of a coordinate: P-521 */

struct assay_tpm_signature {
	enum assay_tpm_sig kind;
	enum assay_hash hash;
	struct assay_bytes rsa;	 /* RSASSA */
	struct assay_bytes r, s; /* ECDSA */
};

/* Borrows from @in. Errors: -EBADMSG, -EOPNOTSUPP another scheme or unknown hash. */
int assay_tpm_signature_parse(struct assay_bytes in, struct assay_tpm_signature *ret,
			      struct assay_err *err);
void assay_tpm_signature_encode(const struct assay_tpm_signature *s, struct assay_wr *w);

#define ASSAY_ECDSA_DER_MAX (2 * (ASSAY_TPM_ECC_MAX + 3) + 3)

/* r and s as the DER SEQUENCE that crypto ports take. */
void assay_tpm_signature_der(const struct assay_tpm_signature *s, struct assay_wr *w);
