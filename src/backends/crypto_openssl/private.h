/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this folder share. OpenSSL's types stop here. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "backends/crypto_openssl/crypto_openssl.h"

/* Contexts kept for one-shot hashing, per algorithm: as many threads hash without an allocation. */
#define SPARE_CONTEXTS 4

struct assay_hash_ctx {
	EVP_MD_CTX *evp;
	const EVP_MD *md; /* of struct assay_crypto_openssl */
};

struct assay_crypto_openssl {
	EVP_MD *md[ASSAY_HASH_COUNT]; /* NULL: this OpenSSL has it not */
	/* Whoever takes one puts NULL there; whoever puts one back finds NULL or frees his own. */
	_Atomic(EVP_MD_CTX *) spare[ASSAY_HASH_COUNT][SPARE_CONTEXTS];
};

enum key_kind { KEY_RSA, KEY_EC };

struct assay_key {
	enum key_kind kind;
	EVP_PKEY *pkey;
	X509 *cert; /* NULL: a bare public key */
};

/* key.c */
int assay_crypto_openssl_key_from_spki(void *ctx, struct assay_bytes der, struct assay_key **ret);
int assay_crypto_openssl_key_from_x509(void *ctx, struct assay_bytes der, struct assay_key **ret);
void assay_crypto_openssl_key_free(struct assay_key *key);
int assay_crypto_openssl_verify(void *ctx, const struct assay_key *key,
				enum assay_sig_scheme scheme, enum assay_hash alg,
				struct assay_bytes digest, struct assay_bytes sig);

/* pkcs7.c */
int assay_crypto_openssl_verify_pkcs7(void *ctx, const struct assay_key *key,
				      struct assay_bytes der, struct assay_bytes content);

/* small.c: a short message without EVP. False: not this algorithm, or too long. */
#define SMALL_MAX 1024u /* bytes; above it EVP's cost is lost in the hash's */
bool assay_crypto_openssl_small(enum assay_hash alg, struct assay_bytes in, uint8_t *ret);
