/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The OpenSSL backend for all tests of a program: what a group of tests sets up and tears down. */
#pragma once

#include "unit/test.h"

#include "backends/crypto_openssl/crypto_openssl.h"

static struct assay_crypto_openssl *crypto_backend;
static struct assay_crypto crypto;

static int crypto_setup(void **state)
{
	int r = assay_crypto_openssl_new(&crypto_backend, NULL);

	if (r == 0)
		crypto = assay_crypto_openssl_port(crypto_backend);
	return r;
}

static int crypto_teardown(void **state)
{
	assay_crypto_openssl_free(crypto_backend);
	return 0;
}
