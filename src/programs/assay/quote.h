/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "assay quote", "assay quote verify" and "assay tpm" share. */
#pragma once

#include "backends/crypto_openssl/crypto_openssl.h"
#include "formats/attest.h"
#include "formats/tpm_public.h"
#include "programs/assay/options.h"

#define AK_PREFIX_DEFAULT "/var/lib/assay/ak" /* .pub, .priv, .pem */

extern const struct option_row quote_verify_rows[];
int cmd_quote_verify(int argc, char **argv);

/* What a verifier sent, in hexadecimal: 1 to ASSAY_NONCE_MAX bytes, or -EINVAL. */
int quote_nonce_parse(const char *text, uint8_t ret[static ASSAY_NONCE_MAX], size_t *ret_len,
		      struct assay_err *err);

/* A public key from a file of any form: PEM or DER, key or certificate, TPM2B_PUBLIC or
 * TPMT_PUBLIC. @ret_public is filled, with *@ret_is_tpm, if its attributes are told; it borrows
 * from @file. */
int quote_key_read(struct assay_crypto_openssl *openssl, struct assay_bytes file,
		   struct assay_key **ret, struct assay_tpm_public *ret_public, bool *ret_is_tpm,
		   struct assay_err *err);

/* The Name of the TPM's key: what the TPM itself knows it by. @to has room for ASSAY_TPM_NAME_MAX.
 */
int quote_key_name(const struct assay_crypto *crypto, const struct assay_tpm_public *public,
		   struct assay_wr *to, struct assay_err *err);

/* The TPM's key as PEM, into @to. */
int quote_key_pem(const struct assay_tpm_public *public, struct assay_wr *to,
		  struct assay_err *err);
