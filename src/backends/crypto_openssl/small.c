/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hashes of short messages without EVP: a template digest or a step of a PCR is two or three
 * blocks, and EVP's bookkeeping costs as much as they do. The compression functions are OpenSSL's,
 * by its older interface, which is deprecated for being no way to reach other providers. The tests
 * compare each length with EVP.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "backends/crypto_openssl/private.h"

static void put_be32(uint8_t *to, uint32_t v)
{
	uint8_t be[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	memcpy(to, be, sizeof(be));
}

static void put_be64(uint8_t *to, uint64_t v)
{
	put_be32(to, (uint32_t)(v >> 32));
	put_be32(to + 4, (uint32_t)v);
}

#define BUF_SIZE (2 * SHA512_CBLOCK)

/* FIPS 180-4, 5.1: the message from @from on, 0x80, zeros, its length in bits. Returns the bytes of
 * @to, whole blocks. */
static inline __attribute__((always_inline)) size_t pad(struct assay_bytes in, size_t from,
							size_t block, uint8_t to[static BUF_SIZE])
{
	size_t rest = in.len - from, size = (rest + block / 8 + block) / block * block;

	if (rest) /* a call: compilers make a slow loop of a memcpy() whose size they do not know */
		memmove(to, in.data + from, rest);
	to[rest] = 0x80;
	memset(to + rest + 1, 0, size - rest - 9);
	put_be64(to + size - 8, (uint64_t)in.len * 8);
	return size;
}

/* Each call costs as much as a third of a block: one for what fits the buffer, two for the rest. */
static inline __attribute__((always_inline)) void absorb(
	void *ctx, void (*update)(void *ctx, const uint8_t *in, size_t len), size_t block,
	struct assay_bytes in)
{
	bool fits = in.len + 1 + block / 8 <= BUF_SIZE;
	size_t from = fits ? 0 : in.len - in.len % block;
	uint8_t buf[BUF_SIZE];

	if (from)
		update(ctx, in.data, from);
	update(ctx, buf, pad(in, from, block, buf));
}

static void update_sha1(void *ctx, const uint8_t *in, size_t len)
{
	SHA1_Update(ctx, in, len);
}

static void update_sha256(void *ctx, const uint8_t *in, size_t len)
{
	SHA256_Update(ctx, in, len);
}

static void update_sha512(void *ctx, const uint8_t *in, size_t len)
{
	SHA512_Update(ctx, in, len);
}

static void hash_sha1(struct assay_bytes in, uint8_t *ret)
{
	SHA_CTX c;

	SHA1_Init(&c);
	absorb(&c, update_sha1, SHA_CBLOCK, in);
	put_be32(ret, c.h0);
	put_be32(ret + 4, c.h1);
	put_be32(ret + 8, c.h2);
	put_be32(ret + 12, c.h3);
	put_be32(ret + 16, c.h4);
}

static void hash_sha256(struct assay_bytes in, uint8_t *ret)
{
	SHA256_CTX c;

	SHA256_Init(&c);
	absorb(&c, update_sha256, SHA256_CBLOCK, in);
	for (size_t i = 0; i < 8; i++)
		put_be32(ret + 4 * i, c.h[i]);
}

/* SHA-384 is SHA-512 from another beginning, cut. */
static void hash_sha512(struct assay_bytes in, bool is_384, uint8_t *ret)
{
	SHA512_CTX c;

	if (is_384)
		SHA384_Init(&c);
	else
		SHA512_Init(&c);
	absorb(&c, update_sha512, SHA512_CBLOCK, in);
	for (size_t i = 0; i < (is_384 ? 6 : 8); i++)
		put_be64(ret + 8 * i, c.h[i]);
}

bool assay_crypto_openssl_small(enum assay_hash alg, struct assay_bytes in, uint8_t *ret)
{
	if (in.len > SMALL_MAX)
		return false;
	switch (alg) {
	case ASSAY_HASH_SHA1:
		hash_sha1(in, ret);
		return true;
	case ASSAY_HASH_SHA256:
		hash_sha256(in, ret);
		return true;
	case ASSAY_HASH_SHA384:
	case ASSAY_HASH_SHA512:
		hash_sha512(in, alg == ASSAY_HASH_SHA384, ret);
		return true;
	default:
		return false;
	}
}
