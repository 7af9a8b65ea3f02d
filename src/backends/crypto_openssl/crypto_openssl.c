/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hashing, and the port's table. Algorithms are fetched once; a fetch per call costs more than a
 * small hash. */
#include "backends/crypto_openssl/crypto_openssl.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "backends/crypto_openssl/private.h"

/* OpenSSL's names; what is not here (md4, tgr, streebog...) its default provider lacks. */
static const char *const fetch_names[ASSAY_HASH_COUNT] = {
	[ASSAY_HASH_MD5] = "MD5",	    [ASSAY_HASH_SHA1] = "SHA1",
	[ASSAY_HASH_RMD160] = "RIPEMD-160", [ASSAY_HASH_SHA224] = "SHA2-224",
	[ASSAY_HASH_SHA256] = "SHA2-256",   [ASSAY_HASH_SHA384] = "SHA2-384",
	[ASSAY_HASH_SHA512] = "SHA2-512",   [ASSAY_HASH_SM3] = "SM3",
	[ASSAY_HASH_SHA3_256] = "SHA3-256", [ASSAY_HASH_SHA3_384] = "SHA3-384",
	[ASSAY_HASH_SHA3_512] = "SHA3-512",
};

static const EVP_MD *md_of(const struct assay_crypto_openssl *c, enum assay_hash alg)
{
	return (unsigned)alg < ASSAY_HASH_COUNT ? c->md[alg] : NULL;
}

static bool has_hash(void *ctx, enum assay_hash alg)
{
	return md_of(ctx, alg) != NULL;
}

static EVP_MD_CTX *spare_take(struct assay_crypto_openssl *c, enum assay_hash alg)
{
	for (size_t i = 0; i < SPARE_CONTEXTS; i++) {
		EVP_MD_CTX *evp =
			atomic_exchange_explicit(&c->spare[alg][i], NULL, memory_order_acquire);

		if (evp)
			return evp;
	}
	return EVP_MD_CTX_new();
}

static void spare_put(struct assay_crypto_openssl *c, enum assay_hash alg, EVP_MD_CTX *evp)
{
	for (size_t i = 0; i < SPARE_CONTEXTS; i++) {
		EVP_MD_CTX *none = NULL;

		if (atomic_compare_exchange_strong_explicit(&c->spare[alg][i], &none, evp,
							    memory_order_release,
							    memory_order_relaxed))
			return;
	}
	EVP_MD_CTX_free(evp);
}

/* Naming the digest makes OpenSSL 3.0 throw away the state it has; NULL keeps and resets it. */
static bool digest_start(EVP_MD_CTX *evp, const EVP_MD *md)
{
	bool has = EVP_MD_CTX_get0_md(evp) == md;

	return EVP_DigestInit_ex2(evp, has ? NULL : md, NULL) == 1;
}

static int hash(void *ctx, enum assay_hash alg, struct assay_bytes in, uint8_t *ret)
{
	struct assay_crypto_openssl *c = ctx;
	const EVP_MD *md = md_of(c, alg);
	EVP_MD_CTX *evp;

	if (!md)
		return -EOPNOTSUPP;
	if (assay_crypto_openssl_small(alg, in, ret))
		return 0;
	evp = spare_take(c, alg);
	if (!evp)
		return -ENOMEM;
	if (!digest_start(evp, md) || EVP_DigestUpdate(evp, in.data, in.len) != 1 ||
	    EVP_DigestFinal_ex(evp, ret, NULL) != 1) {
		EVP_MD_CTX_free(evp);
		ERR_clear_error();
		return -ENOMEM;
	}
	spare_put(c, alg, evp);
	return 0;
}

static int hash_init(struct assay_hash_ctx *h)
{
	if (digest_start(h->evp, h->md))
		return 0;
	ERR_clear_error();
	return -ENOMEM;
}

static void hash_free(struct assay_hash_ctx *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->evp);
	free(h);
}

static int hash_new(void *ctx, enum assay_hash alg, struct assay_hash_ctx **ret)
{
	const EVP_MD *md = md_of(ctx, alg);
	struct assay_hash_ctx *h;

	if (!md)
		return -EOPNOTSUPP;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->md = md;
	h->evp = EVP_MD_CTX_new();
	if (!h->evp || hash_init(h) < 0) {
		hash_free(h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}

static int hash_update(struct assay_hash_ctx *h, struct assay_bytes in)
{
	if (EVP_DigestUpdate(h->evp, in.data, in.len) == 1)
		return 0;
	ERR_clear_error();
	return -EINVAL; /* after hash_final() without hash_init() */
}

/* Leaves the context ready for the next message. */
static int hash_final(struct assay_hash_ctx *h, uint8_t *ret)
{
	if (EVP_DigestFinal_ex(h->evp, ret, NULL) == 1)
		return hash_init(h);
	ERR_clear_error();
	return -EINVAL;
}

static int hash_copy(const struct assay_hash_ctx *h, struct assay_hash_ctx **ret)
{
	struct assay_hash_ctx *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	copy->md = h->md;
	copy->evp = EVP_MD_CTX_new();
	if (!copy->evp || EVP_MD_CTX_copy_ex(copy->evp, h->evp) != 1) {
		ERR_clear_error();
		hash_free(copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

static const struct assay_crypto_ops ops = {
	.has_hash = has_hash,
	.hash = hash,
	.hash_new = hash_new,
	.hash_init = hash_init,
	.hash_update = hash_update,
	.hash_final = hash_final,
	.hash_copy = hash_copy,
	.hash_free = hash_free,
	.key_from_spki = assay_crypto_openssl_key_from_spki,
	.key_from_x509 = assay_crypto_openssl_key_from_x509,
	.key_free = assay_crypto_openssl_key_free,
	.verify = assay_crypto_openssl_verify,
	.verify_pkcs7 = assay_crypto_openssl_verify_pkcs7,
};

int assay_crypto_openssl_new(struct assay_crypto_openssl **ret, struct assay_err *err)
{
	AUTO(crypto_openssl) struct assay_crypto_openssl *c = calloc(1, sizeof(*c));

	if (!c)
		return assay_err_set(err, -ENOMEM, "out of memory");
	/* The texts of its errors, which nobody is shown, are a third of what it allocates. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL);
	for (unsigned i = 0; i < ASSAY_HASH_COUNT; i++) {
		if (!fetch_names[i])
			continue;
		c->md[i] = EVP_MD_fetch(NULL, fetch_names[i], NULL);
		if (c->md[i] &&
		    (size_t)EVP_MD_get_size(c->md[i]) != assay_hash_size((enum assay_hash)i))
			return assay_err_set(err, -EOPNOTSUPP,
					     "OpenSSL's '%s' has %d bytes, not %zu", fetch_names[i],
					     EVP_MD_get_size(c->md[i]),
					     assay_hash_size((enum assay_hash)i));
	}
	ERR_clear_error();
	if (!c->md[ASSAY_HASH_SHA256])
		return assay_err_set(err, -EOPNOTSUPP, "OpenSSL has no sha256");
	*ret = TAKE(c);
	return 0;
}

void assay_crypto_openssl_free(struct assay_crypto_openssl *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < ASSAY_HASH_COUNT; i++) {
		for (size_t k = 0; k < SPARE_CONTEXTS; k++)
			EVP_MD_CTX_free(atomic_load(&c->spare[i][k]));
		EVP_MD_free(c->md[i]);
	}
	free(c);
}

struct assay_crypto assay_crypto_openssl_port(struct assay_crypto_openssl *c)
{
	return (struct assay_crypto){ .ops = &ops, .ctx = c };
}
