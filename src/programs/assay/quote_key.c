/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attestation keys in files. */
#include "programs/assay/quote.h"

#include <errno.h>

#define PEM_LINE 48u /* bytes of a line: 64 characters */

static int from_tpm(struct assay_crypto_openssl *openssl, const struct assay_tpm_public *public,
		    struct assay_key **ret, struct assay_err *err)
{
	struct assay_crypto crypto = assay_crypto_openssl_port(openssl);
	uint8_t spki[ASSAY_TPM_SPKI_MAX];
	struct assay_wr w = assay_wr(spki, sizeof(spki));
	int r;

	assay_tpm_public_spki(public, &w);
	r = crypto.ops->key_from_spki(crypto.ctx, assay_wr_done(&w), ret);
	if (r == 0)
		return 0;
	return assay_err_set(err, r, "the TPM public area holds no key that can be used");
}

int quote_key_read(struct assay_crypto_openssl *openssl, struct assay_bytes file,
		   struct assay_key **ret, struct assay_tpm_public *ret_public, bool *ret_is_tpm,
		   struct assay_err *err)
{
	*ret_is_tpm =
		assay_tpm_public_is(file) && assay_tpm_public_parse(file, ret_public, err) == 0;
	if (*ret_is_tpm)
		return from_tpm(openssl, ret_public, ret, err);
	return assay_crypto_openssl_key_any(openssl, file, ret, err);
}

/* TPM 2.0 Library part 1, 16: the algorithm, and its digest of the public area. */
int quote_key_name(const struct assay_crypto *crypto, const struct assay_tpm_public *public,
		   struct assay_wr *to, struct assay_err *err)
{
	uint8_t digest[ASSAY_HASH_SIZE_MAX];
	int r = crypto->ops->hash(crypto->ctx, public->name_alg, public->area, digest);

	if (r < 0)
		return assay_err_set(err, r, "cannot compute the name of the key");
	to->big = true;
	assay_wr_u16(to, assay_hash_tpm_id(public->name_alg));
	assay_wr_raw(to, digest, assay_hash_size(public->name_alg));
	return 0;
}

static void base64_line(struct assay_bytes in, struct assay_wr *w)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";

	for (size_t i = 0; i < in.len; i += 3) {
		uint32_t v = 0;

		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < in.len ? in.data[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			assay_wr_u8(w, i + k > in.len ? '='
						      : (uint8_t)digits[v >> (18 - 6 * k) & 0x3f]);
	}
	assay_wr_str(w, "\n");
}

int quote_key_pem(const struct assay_tpm_public *public, struct assay_wr *to, struct assay_err *err)
{
	uint8_t spki[ASSAY_TPM_SPKI_MAX];
	struct assay_wr w = assay_wr(spki, sizeof(spki));

	assay_tpm_public_spki(public, &w);
	assay_wr_str(to, "-----BEGIN PUBLIC KEY-----\n");
	for (size_t at = 0; at < w.len; at += PEM_LINE)
		base64_line(assay_bytes(spki + at, w.len - at < PEM_LINE ? w.len - at : PEM_LINE),
			    to);
	assay_wr_str(to, "-----END PUBLIC KEY-----\n");
	if (assay_wr_ok(&w) && assay_wr_ok(to))
		return 0;
	return assay_err_set(err, -E2BIG, "the key is too large");
}
