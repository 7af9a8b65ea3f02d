/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Public keys, and signatures over digests. Builds no chain: which certificate is trusted is the
 * keyring's business. */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "backends/crypto_openssl/private.h"

#define KEY_DER_MAX  65536u   /* a certificate with everything that a CA puts there */
#define KEY_PEM_MAX  1048576u /* with the text that "openssl x509 -text" puts before it */
#define RSA_BITS_MIN 1024
#define RSA_BITS_MAX 16384 /* the largest that OpenSSL verifies; costs grow with the cube */

static void assay_auto_x509(X509 **p)
{
	X509_free(*p);
}

static void assay_auto_x509_pubkey(X509_PUBKEY **p)
{
	X509_PUBKEY_free(*p);
}

static void assay_auto_pkey_ctx(EVP_PKEY_CTX **p)
{
	EVP_PKEY_CTX_free(*p);
}

static void assay_auto_bio(BIO **p)
{
	BIO_free(*p);
}

/* A curve must be named: one that is spelled out can be made to fit somebody else's point. */
static bool curve_is_named(const EVP_PKEY *pkey)
{
	char group[64];
	int spelled_out = 0;

	if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1)
		return false;
	EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &spelled_out);
	return !spelled_out;
}

static int kind_of(const EVP_PKEY *pkey, enum key_kind *ret)
{
	int bits = EVP_PKEY_get_bits(pkey);

	if (EVP_PKEY_is_a(pkey, "RSA") && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX) {
		*ret = KEY_RSA;
		return 0;
	}
	if (EVP_PKEY_is_a(pkey, "EC") && curve_is_named(pkey)) {
		*ret = KEY_EC;
		return 0;
	}
	return -EOPNOTSUPP;
}

/* Takes references of its own. */
static int key_new(EVP_PKEY *pkey, X509 *cert, struct assay_key **ret)
{
	enum key_kind kind;
	struct assay_key *key;
	int r = kind_of(pkey, &kind);

	if (r < 0)
		return r;
	key = calloc(1, sizeof(*key));
	if (!key)
		return -ENOMEM;
	key->kind = kind;
	key->pkey = pkey;
	EVP_PKEY_up_ref(pkey);
	if (cert)
		X509_up_ref(cert);
	key->cert = cert;
	*ret = key;
	return 0;
}

/* The key of a well-formed SubjectPublicKeyInfo that OpenSSL could not make a key of. */
static int why_no_key(const X509_PUBKEY *spki)
{
	ASN1_OBJECT *algorithm = NULL;
	int nid;

	X509_PUBKEY_get0_param(&algorithm, NULL, NULL, NULL, spki);
	nid = OBJ_obj2nid(algorithm);
	return nid == NID_rsaEncryption || nid == NID_X9_62_id_ecPublicKey ? -EBADMSG : -EOPNOTSUPP;
}

static int from_spki(struct assay_bytes der, struct assay_key **ret)
{
	const unsigned char *at = der.data;
	AUTO(x509_pubkey) X509_PUBKEY *spki = NULL;
	EVP_PKEY *pkey;

	if (der.len > KEY_DER_MAX)
		return -E2BIG;
	spki = d2i_X509_PUBKEY(NULL, &at, (long)der.len);
	if (!spki || at != der.data + der.len)
		return -EBADMSG;
	pkey = X509_PUBKEY_get0(spki);
	return pkey ? key_new(pkey, NULL, ret) : why_no_key(spki);
}

static int from_x509(struct assay_bytes der, struct assay_key **ret)
{
	const unsigned char *at = der.data;
	AUTO(x509) X509 *cert = NULL;
	EVP_PKEY *pkey;

	if (der.len > KEY_DER_MAX)
		return -E2BIG;
	cert = d2i_X509(NULL, &at, (long)der.len);
	if (!cert || at != der.data + der.len)
		return -EBADMSG;
	pkey = X509_get0_pubkey(cert);
	return pkey ? key_new(pkey, cert, ret) : why_no_key(X509_get_X509_PUBKEY(cert));
}

int assay_crypto_openssl_key_from_spki(void *ctx, struct assay_bytes der, struct assay_key **ret)
{
	int r = from_spki(der, ret);

	(void)ctx;
	ERR_clear_error();
	return r;
}

int assay_crypto_openssl_key_from_x509(void *ctx, struct assay_bytes der, struct assay_key **ret)
{
	int r = from_x509(der, ret);

	(void)ctx;
	ERR_clear_error();
	return r;
}

void assay_crypto_openssl_key_free(struct assay_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	X509_free(key->cert);
	free(key);
}

/* The first block of PEM that is a public key or a certificate. */
static int from_pem(struct assay_bytes in, struct assay_key **ret)
{
	AUTO(bio) BIO *bio = BIO_new_mem_buf(in.data, (int)in.len);
	int r = -EBADMSG;

	while (bio && r == -EBADMSG) {
		char *name = NULL, *header = NULL;
		unsigned char *der = NULL;
		long len;

		if (PEM_read_bio(bio, &name, &header, &der, &len) != 1)
			break;
		if (strcmp(name, PEM_STRING_PUBLIC) == 0)
			r = from_spki(assay_bytes(der, (size_t)len), ret);
		else if (strcmp(name, PEM_STRING_X509) == 0)
			r = from_x509(assay_bytes(der, (size_t)len), ret);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	return r;
}

int assay_crypto_openssl_key_any(struct assay_crypto_openssl *c, struct assay_bytes in,
				 struct assay_key **ret, struct assay_err *err)
{
	int r;

	(void)c;
	if (in.len > KEY_PEM_MAX)
		return assay_err_set(err, -E2BIG, "a public key of more than %u bytes",
				     KEY_PEM_MAX);
	r = from_spki(in, ret);
	if (r == -EBADMSG || r == -E2BIG)
		r = from_x509(in, ret);
	if (r == -EBADMSG || r == -E2BIG)
		r = from_pem(in, ret);
	ERR_clear_error();
	if (r == -EOPNOTSUPP)
		return assay_err_set(err, r,
				     "neither an RSA key of %d to %d bits nor an EC key on "
				     "a named curve",
				     RSA_BITS_MIN, RSA_BITS_MAX);
	if (r < 0)
		return assay_err_set(err, r, "not a public key or certificate in PEM or DER");
	return 0;
}

static int verify(const struct assay_key *key, const EVP_MD *md, struct assay_bytes digest,
		  struct assay_bytes sig)
{
	AUTO(pkey_ctx) EVP_PKEY_CTX *v = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);

	if (!v)
		return -ENOMEM;
	if (EVP_PKEY_verify_init(v) != 1 || EVP_PKEY_CTX_set_signature_md(v, md) != 1)
		return -EOPNOTSUPP;
	if (key->kind == KEY_RSA && EVP_PKEY_CTX_set_rsa_padding(v, RSA_PKCS1_PADDING) != 1)
		return -EOPNOTSUPP;
	return EVP_PKEY_verify(v, sig.data, sig.len, digest.data, digest.len) == 1 ? 0
										   : -EKEYREJECTED;
}

int assay_crypto_openssl_verify(void *ctx, const struct assay_key *key,
				enum assay_sig_scheme scheme, enum assay_hash alg,
				struct assay_bytes digest, struct assay_bytes sig)
{
	const struct assay_crypto_openssl *c = ctx;
	enum key_kind want = scheme == ASSAY_SIG_ECDSA ? KEY_EC : KEY_RSA;
	int r;

	if (key->kind != want || (unsigned)alg >= ASSAY_HASH_COUNT || !c->md[alg])
		return -EOPNOTSUPP;
	if (digest.len != assay_hash_size(alg))
		return -EINVAL;
	r = verify(key, c->md[alg], digest, sig);
	ERR_clear_error();
	return r;
}
