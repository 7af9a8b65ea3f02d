/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hash algorithms of the kernel (include/uapi/linux/hash_info.h) with their TPM identifiers
 * (TCG Algorithm Registry). Names are the kernel's hash_algo_name.
 */
#pragma once

#include "base/bytes.h"

/*      id, value in xattrs and lists, kernel name, bytes, TPM_ALG_ID (0: a TPM has none) */
#define ASSAY_HASH_LIST(X)                                                                         \
	X(MD4, 0, "md4", 16, 0)                                                                    \
	X(MD5, 1, "md5", 16, 0)                                                                    \
	X(SHA1, 2, "sha1", 20, 0x0004)                                                             \
	X(RMD160, 3, "rmd160", 20, 0)                                                              \
	X(SHA256, 4, "sha256", 32, 0x000b)                                                         \
	X(SHA384, 5, "sha384", 48, 0x000c)                                                         \
	X(SHA512, 6, "sha512", 64, 0x000d)                                                         \
	X(SHA224, 7, "sha224", 28, 0)                                                              \
	X(RMD128, 8, "rmd128", 16, 0)                                                              \
	X(RMD256, 9, "rmd256", 32, 0)                                                              \
	X(RMD320, 10, "rmd320", 40, 0)                                                             \
	X(WP256, 11, "wp256", 32, 0)                                                               \
	X(WP384, 12, "wp384", 48, 0)                                                               \
	X(WP512, 13, "wp512", 64, 0)                                                               \
	X(TGR128, 14, "tgr128", 16, 0)                                                             \
	X(TGR160, 15, "tgr160", 20, 0)                                                             \
	X(TGR192, 16, "tgr192", 24, 0)                                                             \
	X(SM3, 17, "sm3", 32, 0x0012)                                                              \
	X(STREEBOG256, 18, "streebog256", 32, 0)                                                   \
	X(STREEBOG512, 19, "streebog512", 64, 0)                                                   \
	X(SHA3_256, 20, "sha3-256", 32, 0x0027)                                                    \
	X(SHA3_384, 21, "sha3-384", 48, 0x0028)                                                    \
	X(SHA3_512, 22, "sha3-512", 64, 0x0029)

enum assay_hash {
#define X(id, value, name, size, tpm) ASSAY_HASH_##id = (value),
	ASSAY_HASH_LIST(X)
#undef X
		ASSAY_HASH_COUNT
};

#define ASSAY_HASH_SIZE_MAX 64 /* bytes, of the largest digest */

/* A digest and what made it. */
struct assay_digest {
	enum assay_hash alg;
	uint8_t data[ASSAY_HASH_SIZE_MAX]; /* the first assay_hash_size(alg) bytes count */
};

const char *assay_hash_name(enum assay_hash alg); /* "?" if out of range */
size_t assay_hash_size(enum assay_hash alg);	  /* bytes, 0 if out of range */
uint16_t assay_hash_tpm_id(enum assay_hash alg);  /* 0: none */

/* By kernel name ("sm3-256" is an older kernel's word for sm3). False: no such. */
bool assay_hash_by_name(struct assay_bytes name, enum assay_hash *ret);
bool assay_hash_by_tpm_id(uint16_t id, enum assay_hash *ret);

static inline struct assay_bytes assay_digest_bytes(const struct assay_digest *d)
{
	return assay_bytes(d->data, assay_hash_size(d->alg));
}
