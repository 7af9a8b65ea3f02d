/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file of the anchor in software: what is taken is written again as it was, and not taken with
 * another byte. With a sum that is right whatever is behind the magic is taken. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/anchor_soft/private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int hash(void *ctx, enum assay_hash alg, struct assay_bytes data, uint8_t *digest)
{
	return EVP_Digest(data.data, data.len, digest, NULL, EVP_sha256(), NULL) ? 0 : -EIO;
}

static const struct assay_crypto_ops ops = { .hash = hash };
static const struct assay_crypto crypto = { .ops = &ops };

static void check(uint8_t file[static SOFT_FILE_SIZE], size_t flip)
{
	uint8_t again[SOFT_FILE_SIZE];
	struct soft_state state;

	if (assay_anchor_soft_parse(assay_bytes(file, SOFT_FILE_SIZE), &crypto, &state) < 0)
		return;
	if (assay_anchor_soft_encode(&state, &crypto, again) < 0 ||
	    memcmp(file, again, SOFT_FILE_SIZE) != 0)
		abort();
	again[flip % SOFT_FILE_SIZE] ^= (uint8_t)(1u << flip % 8);
	if (assay_anchor_soft_parse(assay_bytes(again, SOFT_FILE_SIZE), &crypto, &state) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t summed = SOFT_FILE_SIZE - 32;
	uint8_t file[SOFT_FILE_SIZE] = "ASYSOFT1";
	struct soft_state state;

	if (size != SOFT_FILE_SIZE &&
	    assay_anchor_soft_parse(assay_bytes(data, size), &crypto, &state) == 0)
		abort();
	if (size == SOFT_FILE_SIZE) {
		memcpy(file, data, size);
		check(file, size);
	}
	memcpy(file, "ASYSOFT1", 8);
	memcpy(file + 8, data, size < summed - 8 ? size : summed - 8);
	hash(NULL, ASSAY_HASH_SHA256, assay_bytes(file, summed), file + summed);
	if (assay_anchor_soft_parse(assay_bytes(file, SOFT_FILE_SIZE), &crypto, &state) < 0)
		abort();
	check(file, size ? data[0] * 5u : 0);
	return 0;
}
