/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Detached PKCS#7 (CMS) signatures: whether one of the signers is this key and signed this content.
 * No chain, no purpose, no time: the key was trusted when it came into its keyring.
 */
#include <errno.h>
#include <openssl/cms.h>
#include <openssl/err.h>

#include "backends/crypto_openssl/private.h"

#define PKCS7_DER_MAX	  1048576u
#define PKCS7_SIGNERS_MAX 16

static void assay_auto_cms(CMS_ContentInfo **p)
{
	CMS_ContentInfo_free(*p);
}

static void assay_auto_bio_all(BIO **p)
{
	BIO_free_all(*p);
}

static void assay_auto_x509(X509 **p)
{
	X509_free(*p);
}

static int parse(struct assay_bytes der, CMS_ContentInfo **ret)
{
	const unsigned char *at = der.data;
	CMS_ContentInfo *cms;

	if (der.len > PKCS7_DER_MAX)
		return -E2BIG;
	cms = d2i_CMS_ContentInfo(NULL, &at, (long)der.len);
	if (cms && at == der.data + der.len &&
	    OBJ_obj2nid(CMS_get0_type(cms)) == NID_pkcs7_signed && CMS_is_detached(cms) == 1) {
		*ret = cms;
		return 0;
	}
	CMS_ContentInfo_free(cms);
	return -EBADMSG;
}

/* CMS wants a certificate for a signer; one around the bare key does. */
static X509 *wrap_key(const struct assay_key *key)
{
	X509 *cert;

	if (key->cert) {
		X509_up_ref(key->cert);
		return key->cert;
	}
	cert = X509_new();
	if (cert && X509_set_pubkey(cert, key->pkey) == 1)
		return cert;
	X509_free(cert);
	return NULL;
}

/* SHA-1 of the key bits, RFC 5280 4.2.1.2 method 1: what a key without certificate is named by. */
static bool key_id_is(const X509 *wrapped, const ASN1_OCTET_STRING *id)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len;

	return X509_pubkey_digest(wrapped, EVP_sha1(), md, &len) == 1 &&
	       (size_t)ASN1_STRING_length(id) == len &&
	       memcmp(ASN1_STRING_get0_data(id), md, len) == 0;
}

/* Whether the signer may be @key. A bare key has no issuer and serial: then its signature tells. */
static bool signer_is(CMS_SignerInfo *si, const struct assay_key *key, X509 *cert)
{
	ASN1_OCTET_STRING *id = NULL;

	if (key->cert && CMS_SignerInfo_cert_cmp(si, cert) == 0)
		return true;
	CMS_SignerInfo_get0_signer_id(si, &id, NULL, NULL);
	if (id)
		return key_id_is(cert, id);
	return !key->cert;
}

/* @digests: the chain of digest filters that the content has gone through. */
static bool signer_good(CMS_SignerInfo *si, X509 *cert, BIO *digests)
{
	CMS_SignerInfo_set1_signer_cert(si, cert);
	if (CMS_signed_get_attr_count(si) >= 0 && CMS_SignerInfo_verify(si) != 1)
		return false;
	return CMS_SignerInfo_verify_content(si, digests) == 1;
}

static int judge(CMS_ContentInfo *cms, const struct assay_key *key, X509 *cert, BIO *digests)
{
	STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(cms);
	int n = signers ? sk_CMS_SignerInfo_num(signers) : 0;
	int r = -ENOKEY;

	if (n > PKCS7_SIGNERS_MAX)
		return -E2BIG;
	for (int i = 0; i < n; i++) {
		CMS_SignerInfo *si = sk_CMS_SignerInfo_value(signers, i);

		if (!signer_is(si, key, cert))
			continue;
		if (signer_good(si, cert, digests))
			return 0;
		r = -EKEYREJECTED;
	}
	return r;
}

/* Filters that digest what is written through them, and a sink at their end. */
static BIO *digest_chain(CMS_ContentInfo *cms)
{
	BIO *sink = BIO_new(BIO_s_null());
	BIO *chain = sink ? CMS_dataInit(cms, sink) : NULL;

	if (!chain)
		BIO_free(sink);
	return chain;
}

static int verify(const struct assay_key *key, struct assay_bytes der, struct assay_bytes content)
{
	AUTO(cms) CMS_ContentInfo *cms = NULL;
	AUTO(x509) X509 *cert = NULL;
	AUTO(bio_all) BIO *digests = NULL;
	int r = parse(der, &cms);

	if (r < 0)
		return r;
	cert = wrap_key(key);
	digests = digest_chain(cms);
	if (!cert || !digests)
		return -ENOMEM;
	while (content.len) {
		int step = content.len > 1u << 30 ? 1 << 30 : (int)content.len;

		if (BIO_write(digests, content.data, step) != step)
			return -EBADMSG; /* a digest that OpenSSL lacks */
		content = assay_bytes(content.data + step, content.len - (size_t)step);
	}
	return judge(cms, key, cert, digests);
}

int assay_crypto_openssl_verify_pkcs7(void *ctx, const struct assay_key *key,
				      struct assay_bytes der, struct assay_bytes content)
{
	int r = verify(key, der, content);

	(void)ctx;
	ERR_clear_error();
	return r;
}
