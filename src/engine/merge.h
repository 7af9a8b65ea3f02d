/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a kernel's records came between our own extends: the list holds ours before it can hold the
 * kernel's, and only the PCR tells the order. A pure search over what a replay ends with.
 */
#pragma once

#include "engine/replay.h"

#define ASSAY_MERGE_MAX 64u /* records of the kernel that are tried at once */

struct assay_merge_input {
	uint32_t pcr;
	const struct assay_pcr_value *seen;
	/* What the kernel extended, or is about to: the last may not be there yet. */
	const struct assay_pcr_value *digests;
	uint32_t n; /* at most ASSAY_MERGE_MAX; 0: only our own place is looked for */
};

/*
 * PCR = our steps but for the last @back, the kernel's first @before, @between of our steps, the
 * kernel's up to @taken, @behind of our steps. What is left of ours is still to be extended.
 */
struct assay_merge {
	uint32_t back, between, behind, before, taken;
};

/* @banks are those of @replay. -ENOENT: no order leads to what was seen in all banks. */
int assay_merge_find(const struct assay_crypto *crypto, const struct assay_banks *banks,
		     struct assay_replay *replay, const struct assay_merge_input *in,
		     struct assay_merge *ret);
