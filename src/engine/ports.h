/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the engine reaches the world: crypto, append, counter, clock, random and anchor. There is
 * nothing here that fetches a fact about a file or a process: facts come in complete
 * (engine/core/event.h). Every ops table is filled by a folder of backends/; ctx is that backend's.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "formats/hash.h"
#include "formats/pcr.h"

/* ---- crypto --------------------------------------------------------------------------------- */

struct assay_hash_ctx; /* the backend's */
struct assay_key;      /* a public key; the backend's */

enum assay_sig_scheme {
	ASSAY_SIG_RSA_PKCS1, /* RSASSA-PKCS1-v1_5 */
	ASSAY_SIG_ECDSA,     /* signature is the DER SEQUENCE of r and s */
};

struct assay_crypto_ops {
	/* Whether this backend computes @alg. */
	bool (*has_hash)(void *ctx, enum assay_hash alg);
	/* One call for what is in memory. Writes assay_hash_size(alg) bytes to @ret.
	 * Errors: -EOPNOTSUPP. */
	int (*hash)(void *ctx, enum assay_hash alg, struct assay_bytes in, uint8_t *ret);
	/* Piecewise. A context may be used again after hash_final() or hash_init(). */
	int (*hash_new)(void *ctx, enum assay_hash alg, struct assay_hash_ctx **ret);
	int (*hash_init)(struct assay_hash_ctx *h);
	int (*hash_update)(struct assay_hash_ctx *h, struct assay_bytes in);
	int (*hash_final)(struct assay_hash_ctx *h, uint8_t *ret);
	/* Another one that has taken the same. Errors: -ENOMEM. */
	int (*hash_copy)(const struct assay_hash_ctx *h, struct assay_hash_ctx **ret);
	void (*hash_free)(struct assay_hash_ctx *h); /* NULL allowed */

	/* A public key from DER: SubjectPublicKeyInfo, or an X.509 certificate (its key; the
	 * certificate is not verified by this). Errors: -EBADMSG, -EOPNOTSUPP key type. */
	int (*key_from_spki)(void *ctx, struct assay_bytes der, struct assay_key **ret);
	int (*key_from_x509)(void *ctx, struct assay_bytes der, struct assay_key **ret);
	void (*key_free)(struct assay_key *key); /* NULL allowed */
	/* 0: good; -EKEYREJECTED: not; -EOPNOTSUPP: key and scheme do not fit. */
	int (*verify)(void *ctx, const struct assay_key *key, enum assay_sig_scheme scheme,
		      enum assay_hash alg, struct assay_bytes digest, struct assay_bytes sig);
	/* PKCS#7 SignedData, detached over @content, signed by @key (no chain is built).
	 * 0, -EKEYREJECTED, -ENOKEY no signer is that key, -EBADMSG. */
	int (*verify_pkcs7)(void *ctx, const struct assay_key *key, struct assay_bytes der,
			    struct assay_bytes content);
};

struct assay_crypto {
	const struct assay_crypto_ops *ops;
	void *ctx;
};

/* ---- append --------------------------------------------------------------------------------- */

struct assay_append_ops {
	/*
	 * Adds one record (bytes of formats/mlist.h, sha1 column) to the list: on return it is
	 * *written*, it survives this process. Errors: -ENOSPC the list cannot grow (nothing was
	 * written; @reserve permits the last, reserved space for gap entries), -EIO.
	 */
	int (*append)(void *ctx, struct assay_bytes record, bool reserve);
};

struct assay_append {
	const struct assay_append_ops *ops;
	void *ctx;
};

/* ---- clock, counter, random ----------------------------------------------------------------- */

struct assay_clock_ops {
	uint64_t (*realtime_ns)(void *ctx);  /* since 1970-01-01 UTC */
	uint64_t (*monotonic_ns)(void *ctx); /* never goes back, stops in suspend */
};

struct assay_clock {
	const struct assay_clock_ops *ops;
	void *ctx;
};

struct assay_counter_ops {
	/* A number that only grows and survives everything (an NV counter, a persistent object). */
	int (*read)(void *ctx, uint64_t *ret);
	int (*increment)(void *ctx, uint64_t *ret);
};

struct assay_counter {
	const struct assay_counter_ops *ops;
	void *ctx;
};

struct assay_random_ops {
	int (*fill)(void *ctx, uint8_t *to, size_t len);
};

struct assay_random {
	const struct assay_random_ops *ops;
	void *ctx;
};

/* ---- anchor --------------------------------------------------------------------------------- */

struct assay_quote_request {
	struct assay_bytes nonce;      /* at most 64 bytes */
	uint32_t pcr_mask;	       /* bit per PCR */
	uint32_t bank_mask;	       /* bit per index of assay_banks */
	struct assay_bytes ak_public;  /* TPM2B_PUBLIC */
	struct assay_bytes ak_private; /* TPM2B_PRIVATE, wrapped by the storage primary key */
};

#define ASSAY_ATTEST_MAX  1024 /* bytes of TPMS_ATTEST */
#define ASSAY_TPM_SIG_MAX 1024 /* bytes of TPMT_SIGNATURE */

struct assay_quote_reply {
	uint8_t attest[ASSAY_ATTEST_MAX];
	size_t attest_len;
	uint8_t signature[ASSAY_TPM_SIG_MAX]; /* TPMT_SIGNATURE; soft anchor: its own, see its docs
					       */
	size_t signature_len;
};

enum assay_anchor_kind { ASSAY_ANCHOR_NONE, ASSAY_ANCHOR_TPM2, ASSAY_ANCHOR_SOFT };

/*
 * Errors that the caller must tell apart:
 *   -EAGAIN     the TPM said "not now" (RETRY, YIELDED, TESTING...) and did NOT execute the command
 *   -EPERM      lockout or authorisation: not executed, and trying again at once is no use
 *   -ETIMEDOUT, -EIO, -ENODEV   the outcome is UNKNOWN, or the TPM is gone: reopen(), read(),
 *               and find out from the PCRs. Never repeat an extend blindly.
 */
struct assay_anchor_ops {
	enum assay_anchor_kind kind;
	/* Drops the connection and makes a new one, then sends one harmless command as a fence, so
	 * that what was sent before has been executed or never will be. */
	int (*reopen)(void *ctx, struct assay_err *err);
	int (*banks)(void *ctx, struct assay_banks *ret, struct assay_err *err);
	/* Clock, PCRs of @pcr_mask in all banks, clock again; values[p] for each bit. If the two
	 * clocks differ in reset or restart count: -EAGAIN. */
	int (*read)(void *ctx, uint32_t pcr_mask, struct assay_pcr_value values[ASSAY_PCRS],
		    struct assay_tpm_clock *ret_clock, struct assay_err *err);
	/* One PCR, all banks, one command. */
	int (*extend)(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
		      struct assay_err *err);
	int (*quote)(void *ctx, const struct assay_quote_request *request,
		     struct assay_quote_reply *ret, struct assay_err *err);
};

struct assay_anchor {
	const struct assay_anchor_ops *ops;
	void *ctx;
};

struct assay_ports {
	struct assay_crypto crypto;
	struct assay_append append;
	struct assay_clock clock;
	struct assay_counter counter;
	struct assay_random random;
	struct assay_anchor anchor;
};
