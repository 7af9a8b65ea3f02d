/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The local key, and quotes by it: the shape of a TPM's, the magic of software. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "backends/anchor_soft/private.h"
#include "base/file.h"
#include "base/macros.h"

#define KEY_NAME    "soft-anchor.key"
#define PUBLIC_NAME "soft-anchor.pem"
#define KEY_MAX	    4096u
#define NUMBER_SIZE 32 /* bytes of r and s: P-256 */

static void assay_auto_bio(BIO **p)
{
	BIO_free(*p);
}

static void assay_auto_pkey(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

static void assay_auto_md_ctx(EVP_MD_CTX **p)
{
	EVP_MD_CTX_free(*p);
}

static void assay_auto_ecdsa_sig(ECDSA_SIG **p)
{
	ECDSA_SIG_free(*p);
}

/* ---- the key -------------------------------------------------------------------------------- */

static int write_pem(int dirfd, const char *name, unsigned mode, BIO *bio, struct assay_err *err)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);

	return assay_file_replace(dirfd, name, mode, assay_bytes(text, (size_t)len), err);
}

static int no_memory(struct assay_err *err)
{
	return assay_err_set(err, -ENOMEM, "cannot write the software anchor's key");
}

static int store_private(int dirfd, EVP_PKEY *key, struct assay_err *err)
{
	AUTO(bio) BIO *bio = BIO_new(BIO_s_secmem());

	if (!bio || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		return no_memory(err);
	return write_pem(dirfd, KEY_NAME, 0600, bio, err);
}

/* For verifiers; made again if it is gone, or if we ended before it was written. */
static int store_public(int dirfd, EVP_PKEY *key, struct assay_err *err)
{
	AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
	struct stat st;

	/* Not faccessat(): the C library asks by a call that the anchor's sandbox does not allow.
	 */
	if (fstatat(dirfd, PUBLIC_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (!bio || PEM_write_bio_PUBKEY(bio, key) != 1)
		return no_memory(err);
	return write_pem(dirfd, PUBLIC_NAME, 0644, bio, err);
}

static int make_key(int dirfd, EVP_PKEY **ret, struct assay_err *err)
{
	AUTO(pkey) EVP_PKEY *key = EVP_EC_gen("P-256");
	int r;

	if (!key)
		return assay_err_set(err, -EOPNOTSUPP, "OpenSSL cannot make a P-256 key");
	(void)unlinkat(dirfd, PUBLIC_NAME, 0); /* of a key that is gone */
	r = store_private(dirfd, key, err);
	if (r == 0)
		*ret = TAKE(key);
	return r;
}

static int read_key(int dirfd, EVP_PKEY **ret, struct assay_err *err)
{
	AUTO(file) struct assay_file f = { 0 };
	AUTO(bio) BIO *bio = NULL;
	AUTO(pkey) EVP_PKEY *key = NULL;
	int r = assay_file_read(dirfd, KEY_NAME, KEY_MAX, &f, err);

	if (r < 0)
		return r;
	bio = BIO_new_mem_buf(f.bytes.data, (int)f.bytes.len);
	key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	explicit_bzero((void *)(uintptr_t)f.bytes.data, f.bytes.len);
	ERR_clear_error();
	if (!key || !EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_bits(key) != 8 * NUMBER_SIZE)
		return assay_err_set(err, -EBADMSG, "'%s' is not a P-256 key", KEY_NAME);
	*ret = TAKE(key);
	return 0;
}

int assay_anchor_soft_key(int dirfd, EVP_PKEY **ret, struct assay_err *err)
{
	AUTO(pkey) EVP_PKEY *key = NULL;
	int r = read_key(dirfd, &key, err);

	if (r == -ENOENT)
		r = make_key(dirfd, &key, err);
	if (r == 0)
		r = store_public(dirfd, key, err);
	if (r == 0)
		*ret = TAKE(key);
	return r;
}

/* ---- quotes --------------------------------------------------------------------------------- */

/* Named as a TPM names keys, but over the SubjectPublicKeyInfo. */
static int name_key(EVP_PKEY *key, const struct assay_crypto *crypto, uint8_t name[static 34])
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der), r;

	if (len < 0)
		return -ENOMEM;
	name[0] = 0;
	name[1] = 0x0b;
	r = crypto->ops->hash(crypto->ctx, ASSAY_HASH_SHA256, assay_bytes(der, (size_t)len),
			      name + 2);
	OPENSSL_free(der);
	return r;
}

static int sign(EVP_PKEY *key, struct assay_bytes what, struct assay_wr *w)
{
	AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	AUTO(ecdsa_sig) ECDSA_SIG *sig = NULL;
	uint8_t der[256], r[NUMBER_SIZE], s[NUMBER_SIZE];
	const unsigned char *at = der;
	size_t len = sizeof(der);
	struct assay_tpm_signature t = {
		.kind = ASSAY_TPM_SIG_ECDSA,
		.hash = ASSAY_HASH_SHA256,
		.r = assay_bytes(r, sizeof(r)),
		.s = assay_bytes(s, sizeof(s)),
	};

	if (!ctx || EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) != 1 ||
	    EVP_DigestSign(ctx, der, &len, what.data, what.len) != 1)
		return -EIO;
	sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), r, sizeof(r)) < 0 ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), s, sizeof(s)) < 0)
		return -EIO;
	assay_tpm_signature_encode(&t, w);
	return assay_wr_ok(w) ? 0 : -E2BIG;
}

int assay_anchor_soft_sign(EVP_PKEY *key, const struct assay_crypto *crypto,
			   struct assay_attest *attest, struct assay_quote_reply *ret,
			   struct assay_err *err)
{
	struct assay_quote_reply reply = { 0 };
	struct assay_wr a = assay_wr(reply.attest, sizeof(reply.attest));
	struct assay_wr s = assay_wr(reply.signature, sizeof(reply.signature));
	uint8_t name[34];
	int r = name_key(key, crypto, name);

	attest->soft = true;
	attest->signer = assay_bytes(name, sizeof(name));
	assay_attest_encode(attest, &a);
	if (r == 0 && !assay_wr_ok(&a))
		r = -E2BIG;
	if (r == 0)
		r = sign(key, assay_wr_done(&a), &s);
	ERR_clear_error();
	if (r < 0)
		return assay_err_set(err, r, "the software anchor cannot sign");
	reply.attest_len = a.len;
	reply.signature_len = s.len;
	*ret = reply;
	return 0;
}
