/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The OpenSSL backend: published digests, keys made here by OpenSSL itself, signatures good and
 * flipped. */
#include "unit/crypto_fixture.h"

#include <errno.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>

#include "base/hex.h"

/* ---- hashes: FIPS 180-4, FIPS 202, RFC 1321, GB/T 32905 examples for "abc" ------------------ */

static const struct {
	enum assay_hash alg;
	const char *hex;
} abc[] = {
	{ ASSAY_HASH_MD5, "900150983cd24fb0d6963f7d28e17f72" },
	{ ASSAY_HASH_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ ASSAY_HASH_SHA224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7" },
	{ ASSAY_HASH_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ ASSAY_HASH_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
			     "8086072ba1e7cc2358baeca134c825a7" },
	{ ASSAY_HASH_SHA512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
	{ ASSAY_HASH_SM3, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" },
	{ ASSAY_HASH_SHA3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532" },
};

static void check_hash(enum assay_hash alg, struct assay_bytes in, const char *hex)
{
	uint8_t md[ASSAY_HASH_SIZE_MAX];
	char text[2 * ASSAY_HASH_SIZE_MAX + 1];

	assert_int_equal(crypto.ops->hash(crypto.ctx, alg, in, md), 0);
	assay_hex_encode(assay_bytes(md, assay_hash_size(alg)), text);
	assert_string_equal(text, hex);
}

static void test_hash_published(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(abc); i++) {
		if (abc[i].alg == ASSAY_HASH_MD5 && !crypto.ops->has_hash(crypto.ctx, abc[i].alg))
			continue; /* a FIPS provider */
		for (int round = 0; round < 3; round++)
			check_hash(abc[i].alg, assay_bytes_str("abc"), abc[i].hex);
	}
	check_hash(ASSAY_HASH_SHA256, assay_bytes(NULL, 0),
		   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_hash_unknown(void **state)
{
	struct assay_hash_ctx *h;
	uint8_t md[ASSAY_HASH_SIZE_MAX];

	assert_false(crypto.ops->has_hash(crypto.ctx, ASSAY_HASH_TGR128));
	assert_false(crypto.ops->has_hash(crypto.ctx, ASSAY_HASH_COUNT));
	assert_int_equal(crypto.ops->hash(crypto.ctx, ASSAY_HASH_TGR128, assay_bytes(NULL, 0), md),
			 -EOPNOTSUPP);
	assert_int_equal(crypto.ops->hash_new(crypto.ctx, ASSAY_HASH_STREEBOG256, &h), -EOPNOTSUPP);
}

static void test_hash_pieces(void **state)
{
	uint8_t data[3000], whole[ASSAY_HASH_SIZE_MAX], md[ASSAY_HASH_SIZE_MAX];
	struct assay_hash_ctx *h;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (unsigned alg = 0; alg < ASSAY_HASH_COUNT; alg++) {
		if (!crypto.ops->has_hash(crypto.ctx, alg))
			continue;
		crypto.ops->hash(crypto.ctx, alg, assay_bytes(data, sizeof(data)), whole);
		assert_int_equal(crypto.ops->hash_new(crypto.ctx, alg, &h), 0);
		for (size_t step = 1; step < sizeof(data); step = step * 3 + 1) {
			for (size_t at = 0; at < sizeof(data); at += step)
				crypto.ops->hash_update(h,
							assay_bytes(data + at,
								    step < sizeof(data) - at
									    ? step
									    : sizeof(data) - at));
			assert_int_equal(crypto.ops->hash_final(h, md), 0);
			assert_memory_equal(md, whole, assay_hash_size(alg));
			/* What is thrown away leaves no trace. */
			crypto.ops->hash_update(h, assay_bytes(data, 5));
			assert_int_equal(crypto.ops->hash_init(h), 0);
		}
		crypto.ops->hash_free(h);
	}
	crypto.ops->hash_free(NULL);
}

static void *hash_many(void *bad)
{
	uint8_t md[ASSAY_HASH_SIZE_MAX], want[32];

	assay_hex_decode(assay_bytes_str(abc[3].hex), want, sizeof(want));
	for (int i = 0; i < 5000; i++) {
		crypto.ops->hash(crypto.ctx, ASSAY_HASH_SHA256, assay_bytes_str("abc"), md);
		if (memcmp(md, want, sizeof(want)) != 0)
			*(bool *)bad = true;
	}
	return NULL;
}

/* One call and pieces take different ways through OpenSSL for short messages. */
static void test_hash_every_length(void **state)
{
	static const enum assay_hash algs[] = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256,
						ASSAY_HASH_SHA384, ASSAY_HASH_SHA512,
						ASSAY_HASH_SHA224 };
	uint8_t in[1100], one[ASSAY_HASH_SIZE_MAX], pieces[ASSAY_HASH_SIZE_MAX];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t a = 0; a < ARRAY_LEN(algs); a++) {
		struct assay_hash_ctx *h;

		assert_int_equal(crypto.ops->hash_new(crypto.ctx, algs[a], &h), 0);
		for (size_t len = 0; len <= sizeof(in); len++) {
			struct assay_bytes b = assay_bytes(in, len);

			assert_int_equal(crypto.ops->hash(crypto.ctx, algs[a], b, one), 0);
			assert_int_equal(crypto.ops->hash_update(h, b), 0);
			assert_int_equal(crypto.ops->hash_final(h, pieces), 0);
			assert_memory_equal(one, pieces, assay_hash_size(algs[a]));
		}
		crypto.ops->hash_free(h);
	}
}

static void test_hash_threads(void **state)
{
	pthread_t t[8];
	bool bad[8] = { false };

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, hash_many, &bad[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		pthread_join(t[i], NULL);
		assert_false(bad[i]);
	}
}

/* ---- keys and signatures -------------------------------------------------------------------- */

static EVP_PKEY *make_rsa(void)
{
	return EVP_RSA_gen(2048u);
}

static EVP_PKEY *make_ec(void)
{
	return EVP_EC_gen("P-256");
}

static struct assay_key *public_of(EVP_PKEY *pkey)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(pkey, &der);
	struct assay_key *key = NULL;

	assert_true(len > 0);
	assert_int_equal(crypto.ops->key_from_spki(crypto.ctx, assay_bytes(der, (size_t)len), &key),
			 0);
	OPENSSL_free(der);
	return key;
}

static size_t sign(EVP_PKEY *pkey, const char *md, struct assay_bytes digest, uint8_t *sig,
		   size_t cap)
{
	EVP_PKEY_CTX *s = EVP_PKEY_CTX_new(pkey, NULL);

	assert_int_equal(EVP_PKEY_sign_init(s), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(s, EVP_get_digestbyname(md)), 1);
	assert_int_equal(EVP_PKEY_sign(s, sig, &cap, digest.data, digest.len), 1);
	EVP_PKEY_CTX_free(s);
	return cap;
}

static void check_signature(EVP_PKEY *pkey, enum assay_sig_scheme scheme)
{
	struct assay_key *key = public_of(pkey);
	uint8_t digest[32], sig[512];
	size_t len;

	memset(digest, 0x5a, sizeof(digest));
	len = sign(pkey, "SHA256", assay_bytes(digest, 32), sig, sizeof(sig));
#define VERIFY(scheme_, alg, n)                                                                    \
	crypto.ops->verify(crypto.ctx, key, scheme_, alg, assay_bytes(digest, n),                  \
			   assay_bytes(sig, len))
	assert_int_equal(VERIFY(scheme, ASSAY_HASH_SHA256, 32), 0);
	assert_int_equal(VERIFY(scheme, ASSAY_HASH_SHA256, 31), -EINVAL);
	assert_int_equal(VERIFY(scheme, ASSAY_HASH_TGR128, 16), -EOPNOTSUPP);
	assert_int_equal(VERIFY(scheme == ASSAY_SIG_ECDSA ? ASSAY_SIG_RSA_PKCS1 : ASSAY_SIG_ECDSA,
				ASSAY_HASH_SHA256, 32),
			 -EOPNOTSUPP);
	/* PKCS#1 names the hash: the same 32 bytes as another algorithm are another message. */
	if (scheme == ASSAY_SIG_RSA_PKCS1)
		assert_int_equal(VERIFY(scheme, ASSAY_HASH_SHA3_256, 32), -EKEYREJECTED);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(VERIFY(scheme, ASSAY_HASH_SHA256, 32), -EKEYREJECTED);
		sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(digest); bit++) {
		digest[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(VERIFY(scheme, ASSAY_HASH_SHA256, 32), -EKEYREJECTED);
		digest[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t full = len; --len > 0 || full == 0;)
		assert_int_equal(VERIFY(scheme, ASSAY_HASH_SHA256, 32), -EKEYREJECTED);
#undef VERIFY
	crypto.ops->key_free(key);
}

static void test_verify_rsa(void **state)
{
	EVP_PKEY *pkey = make_rsa();

	check_signature(pkey, ASSAY_SIG_RSA_PKCS1);
	EVP_PKEY_free(pkey);
}

static void test_verify_ecdsa(void **state)
{
	EVP_PKEY *pkey = make_ec();

	check_signature(pkey, ASSAY_SIG_ECDSA);
	EVP_PKEY_free(pkey);
}

static void test_key_kinds(void **state)
{
	EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), *rsa = make_rsa();
	EVP_PKEY *small = EVP_RSA_gen(512u);
	EVP_PKEY *refused[] = { ed, small };
	unsigned char *der = NULL;
	struct assay_key *key = NULL;
	int len;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		len = i2d_PUBKEY(refused[i], &der);
		assert_int_equal(crypto.ops->key_from_spki(crypto.ctx,
							   assay_bytes(der, (size_t)len), &key),
				 -EOPNOTSUPP);
		OPENSSL_free(der);
		der = NULL;
	}
	/* Every cut fails, and so does a byte too many. */
	len = i2d_PUBKEY(rsa, &der);
	for (int cut = 0; cut < len; cut++)
		assert_int_equal(crypto.ops->key_from_spki(crypto.ctx,
							   assay_bytes(der, (size_t)cut), &key),
				 -EBADMSG);
	der = OPENSSL_realloc(der, (size_t)len + 1);
	der[len] = 0;
	assert_int_equal(crypto.ops->key_from_spki(crypto.ctx, assay_bytes(der, (size_t)len + 1),
						   &key),
			 -EBADMSG);
	OPENSSL_free(der);
	EVP_PKEY_free(ed);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(small);
	crypto.ops->key_free(NULL);
}

/* A curve whose parameters stand in the key, be they P-256's own. */
static void test_key_explicit_curve(void **state)
{
	EVP_PKEY *pkey = make_ec();
	unsigned char *der = NULL;
	struct assay_key *key = NULL;
	int len;

	assert_int_equal(EVP_PKEY_set_utf8_string_param(pkey, "encoding", "explicit"), 1);
	len = i2d_PUBKEY(pkey, &der);
	assert_true(len > 200);
	assert_int_equal(crypto.ops->key_from_spki(crypto.ctx, assay_bytes(der, (size_t)len), &key),
			 -EOPNOTSUPP);
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
}

/* ---- certificates, PEM, PKCS#7 -------------------------------------------------------------- */

static X509 *make_cert(EVP_PKEY *pkey, long serial)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"assay", -1, -1,
				   0);
	X509_set_issuer_name(cert, name);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, pkey);
	assert_true(X509_sign(cert, pkey, EVP_sha256()) > 0);
	return cert;
}

static struct assay_key *key_of_cert(X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);
	struct assay_key *key = NULL;

	assert_int_equal(crypto.ops->key_from_x509(crypto.ctx, assay_bytes(der, (size_t)len), &key),
			 0);
	OPENSSL_free(der);
	return key;
}

static void test_key_any(void **state)
{
	EVP_PKEY *pkey = make_ec();
	X509 *cert = make_cert(pkey, 1);
	struct assay_err err = { 0 };
	struct assay_key *key = NULL;

	for (int form = 0; form < 4; form++) {
		BIO *bio = BIO_new(BIO_s_mem());
		char *text;
		long len;

		if (form == 0)
			PEM_write_bio_PUBKEY(bio, pkey);
		else if (form == 1)
			BIO_puts(bio, "some words before\n"), PEM_write_bio_X509(bio, cert);
		else if (form == 2)
			i2d_PUBKEY_bio(bio, pkey);
		else
			i2d_X509_bio(bio, cert);
		len = BIO_get_mem_data(bio, &text);
		assert_int_equal(assay_crypto_openssl_key_any(crypto_backend,
							      assay_bytes(text, (size_t)len), &key,
							      &err),
				 0);
		crypto.ops->key_free(key);
		assert_int_equal(assay_crypto_openssl_key_any(crypto_backend,
							      assay_bytes(text, (size_t)len / 2),
							      &key, &err),
				 -EBADMSG);
		BIO_free(bio);
	}
	assert_int_equal(assay_crypto_openssl_key_any(crypto_backend, assay_bytes_str("hello"),
						      &key, &err),
			 -EBADMSG);
	X509_free(cert);
	EVP_PKEY_free(pkey);
}

static const uint8_t content[] = "the content that is signed, not held in the message";

static size_t make_pkcs7(X509 *cert, EVP_PKEY *pkey, unsigned flags, unsigned char **ret)
{
	BIO *in = BIO_new_mem_buf(content, sizeof(content));
	CMS_ContentInfo *cms = CMS_sign(cert, pkey, NULL, in, flags | CMS_BINARY | CMS_NOCERTS);
	int len = i2d_CMS_ContentInfo(cms, ret);

	assert_true(len > 0);
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	return (size_t)len;
}

static void check_pkcs7(EVP_PKEY *pkey, unsigned flags)
{
	X509 *cert = make_cert(pkey, 1), *other = make_cert(pkey, 2);
	struct assay_key *by_cert = key_of_cert(cert), *by_key = public_of(pkey);
	struct assay_key *by_other = key_of_cert(other);
	unsigned char *der = NULL;
	size_t len = make_pkcs7(cert, pkey, flags | CMS_DETACHED, &der);
	uint8_t changed[sizeof(content)];
	bool by_id = flags & CMS_USE_KEYID;

#define VERIFY(key, bytes, n)                                                                      \
	crypto.ops->verify_pkcs7(crypto.ctx, key, assay_bytes(der, n),                             \
				 assay_bytes(bytes, sizeof(content)))
	assert_int_equal(VERIFY(by_cert, content, len), 0);
	assert_int_equal(VERIFY(by_key, content, len), 0);
	assert_int_equal(VERIFY(by_other, content, len), by_id ? 0 : -ENOKEY);
	memcpy(changed, content, sizeof(content));
	changed[7] ^= 0x20;
	assert_int_equal(VERIFY(by_cert, changed, len), -EKEYREJECTED);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(VERIFY(by_cert, content, cut), -EBADMSG);
#undef VERIFY
	crypto.ops->key_free(by_cert);
	crypto.ops->key_free(by_key);
	crypto.ops->key_free(by_other);
	X509_free(cert);
	X509_free(other);
	OPENSSL_free(der);
}

static void test_pkcs7(void **state)
{
	EVP_PKEY *rsa = make_rsa(), *ec = make_ec(), *stranger = make_ec();
	X509 *cert = make_cert(ec, 1);
	struct assay_key *key = public_of(stranger), *good = public_of(ec);
	unsigned char *der = NULL;
	size_t len;

	check_pkcs7(rsa, 0);
	check_pkcs7(rsa, CMS_NOATTR); /* as the kernel's sign-file does */
	check_pkcs7(ec, 0);
	/* A stranger's bare key, and a message that holds its content. */
	len = make_pkcs7(cert, ec, CMS_DETACHED, &der);
	assert_int_equal(crypto.ops->verify_pkcs7(crypto.ctx, key, assay_bytes(der, len),
						  assay_bytes(content, sizeof(content))),
			 -EKEYREJECTED);
	OPENSSL_free(der);
	der = NULL;
	len = make_pkcs7(cert, ec, 0, &der);
	assert_int_equal(crypto.ops->verify_pkcs7(crypto.ctx, good, assay_bytes(der, len),
						  assay_bytes(content, sizeof(content))),
			 -EBADMSG);
	OPENSSL_free(der);
	crypto.ops->key_free(key);
	crypto.ops->key_free(good);
	X509_free(cert);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(stranger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_published),
		cmocka_unit_test(test_hash_unknown),
		cmocka_unit_test(test_hash_every_length),
		cmocka_unit_test(test_hash_pieces),
		cmocka_unit_test(test_hash_threads),
		cmocka_unit_test(test_verify_rsa),
		cmocka_unit_test(test_verify_ecdsa),
		cmocka_unit_test(test_key_kinds),
		cmocka_unit_test(test_key_explicit_curve),
		cmocka_unit_test(test_key_any),
		cmocka_unit_test(test_pkcs7),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
