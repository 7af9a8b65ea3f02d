/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The crypto port over OpenSSL 3 (libcrypto). Safe to share between threads. */
#pragma once

#include "engine/ports.h"

struct assay_crypto_openssl; /* fetched algorithms, so that none is looked up per call */

/* Errors: -ENOMEM, -EOPNOTSUPP a digest that lists need and OpenSSL does not give. */
int assay_crypto_openssl_new(struct assay_crypto_openssl **ret, struct assay_err *err);
void assay_crypto_openssl_free(struct assay_crypto_openssl *c); /* NULL allowed */
AUTO_DEFINE(crypto_openssl);

/* The port; valid as long as @c. */
struct assay_crypto assay_crypto_openssl_port(struct assay_crypto_openssl *c);

/* A public key from PEM ("PUBLIC KEY" or "CERTIFICATE") or DER of either; the caller owns *@ret
 * (the port's key_free()). Errors: -EBADMSG neither, -E2BIG. */
int assay_crypto_openssl_key_any(struct assay_crypto_openssl *c, struct assay_bytes in,
				 struct assay_key **ret, struct assay_err *err);
