/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/core/digest.h"

#include <errno.h>

#define LEGACY_DIGEST_SIZE 20u
#define LEGACY_NAME_SIZE   256u

/* The name, which stands after a length of four bytes, counts as if padded to its largest size. */
static int legacy_digest(const struct assay_crypto *crypto, enum assay_hash alg,
			 struct assay_bytes data, uint8_t *ret)
{
	uint8_t padded[LEGACY_DIGEST_SIZE + LEGACY_NAME_SIZE] = { 0 };
	const size_t digest = assay_template_legacy_digest(data), head = digest + 4;

	if (data.len < head || data.len - head > LEGACY_NAME_SIZE)
		return -EBADMSG;
	memcpy(padded, data.data, digest);
	memcpy(padded + digest, data.data + head, data.len - head);
	return crypto->ops->hash(crypto->ctx, alg, assay_bytes(padded, digest + LEGACY_NAME_SIZE),
				 ret);
}

/* The fields are hashed with their lengths, which is how they stand in the record. */
int assay_template_digest(const struct assay_crypto *crypto, enum assay_hash alg,
			  const struct assay_record *record, uint8_t *ret)
{
	if (record->legacy)
		return legacy_digest(crypto, alg, record->data, ret);
	return crypto->ops->hash(crypto->ctx, alg, record->data, ret);
}
