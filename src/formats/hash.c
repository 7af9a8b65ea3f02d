/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/hash.h"

#include "base/macros.h"

struct hash_row {
	const char *name;
	uint8_t size;
	uint16_t tpm_id;
};

static const struct hash_row rows[] = {
#define X(id, value, name_, size_, tpm) [value] = { (name_), (size_), (tpm) },
	ASSAY_HASH_LIST(X)
#undef X
};
_Static_assert(ARRAY_LEN(rows) == ASSAY_HASH_COUNT, "every algorithm has a row");

const char *assay_hash_name(enum assay_hash alg)
{
	return (unsigned)alg < ASSAY_HASH_COUNT ? rows[alg].name : "?";
}

size_t assay_hash_size(enum assay_hash alg)
{
	return (unsigned)alg < ASSAY_HASH_COUNT ? rows[alg].size : 0;
}

uint16_t assay_hash_tpm_id(enum assay_hash alg)
{
	return (unsigned)alg < ASSAY_HASH_COUNT ? rows[alg].tpm_id : 0;
}

bool assay_hash_by_name(struct assay_bytes name, enum assay_hash *ret)
{
	if (assay_bytes_is(name, "sm3-256")) {
		*ret = ASSAY_HASH_SM3;
		return true;
	}
	for (unsigned i = 0; i < ASSAY_HASH_COUNT; i++) {
		if (!assay_bytes_is(name, rows[i].name))
			continue;
		*ret = (enum assay_hash)i;
		return true;
	}
	return false;
}

bool assay_hash_by_tpm_id(uint16_t id, enum assay_hash *ret)
{
	for (unsigned i = 0; i < ASSAY_HASH_COUNT; i++) {
		if (id == 0 || rows[i].tpm_id != id)
			continue;
		*ret = (enum assay_hash)i;
		return true;
	}
	return false;
}
