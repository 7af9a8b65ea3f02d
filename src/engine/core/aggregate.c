/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* boot_aggregate: the first record of a boot says what the firmware measured
 * (ima_calc_boot_aggregate). */
#include "engine/core/core.h"

#include <errno.h>

#define NAME	      "boot_aggregate"
#define PCRS_SHA1     8u  /* PCR 0 to 7 */
#define PCRS_AND_BOOT 10u /* and 8 and 9, where the boot loader measures */

/* The default hash's bank, else sha256, else sha1. The "ima" template holds sha1 only. */
static bool choose_bank(const struct assay_core *c, uint32_t *ret)
{
	const struct assay_banks *banks = &c->config.banks;

	if (c->standard.template.legacy)
		return assay_banks_find(banks, ASSAY_HASH_SHA1, ret);
	return assay_banks_find(banks, c->config.hash, ret) ||
	       assay_banks_find(banks, ASSAY_HASH_SHA256, ret) ||
	       assay_banks_find(banks, ASSAY_HASH_SHA1, ret);
}

static int hash_pcrs(const struct assay_core *c, uint32_t bank,
		     const struct assay_pcr_value values[ASSAY_PCRS], struct assay_digest *ret)
{
	uint8_t all[PCRS_AND_BOOT * ASSAY_HASH_SIZE_MAX];
	struct assay_wr w = assay_wr(all, sizeof(all));
	uint32_t n;

	ret->alg = c->config.banks.alg[bank];
	n = ret->alg == ASSAY_HASH_SHA1 ? PCRS_SHA1 : PCRS_AND_BOOT;
	for (uint32_t p = 0; p < n; p++)
		assay_wr_raw(&w, values[p].value[bank], assay_hash_size(ret->alg));
	return c->ports.crypto.ops->hash(c->ports.crypto.ctx, ret->alg, assay_wr_done(&w),
					 ret->data);
}

int assay_core_boot_aggregate(struct assay_core *c, const struct assay_pcr_value values[ASSAY_PCRS],
			      uint64_t *ret_index, struct assay_err *err)
{
	struct assay_digest digest = { .alg = c->standard.template.legacy ? ASSAY_HASH_SHA1
									  : c->config.hash };
	struct assay_new_record rec = { .pcr = c->config.pcr,
					.template = &c->standard,
					.keep_equal = true,
					.facts = { .digest = &digest,
						   .name = assay_bytes_str(NAME) } };
	uint64_t index;
	uint32_t bank;
	bool is_new;
	int rc = 0;

	if (values && choose_bank(c, &bank))
		rc = hash_pcrs(c, bank, values, &digest);
	if (rc < 0)
		return assay_err_set(err, rc, "cannot compute boot_aggregate");
	rc = assay_core_append(c, &rec, &index, &is_new, err);
	if (rc == 0 && ret_index)
		*ret_index = index;
	return rc;
}
