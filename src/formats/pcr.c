/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/pcr.h"

bool assay_banks_find(const struct assay_banks *banks, enum assay_hash alg, uint32_t *ret)
{
	for (uint32_t i = 0; i < banks->n; i++) {
		if (banks->alg[i] != alg)
			continue;
		if (ret)
			*ret = i;
		return true;
	}
	return false;
}

bool assay_banks_equal(const struct assay_banks *a, const struct assay_banks *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->alg[i] != b->alg[i])
			return false;
	return true;
}
