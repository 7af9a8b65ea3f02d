/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a kernel's records came between our own extends: the list holds ours before it can hold the
 * kernel's, and only the PCRs tell the order. A pure search over what a replay ends with. The order
 * of the kernel's among themselves is known, and at most one extend of ours is outstanding at any
 * time: so the kernel's come before one step of ours, behind it, or some before and the rest
 * behind.
 */
#pragma once

#include "engine/replay.h"

#define ASSAY_MERGE_RECORDS_MAX (1u << 18) /* of the kernel at once */
#define ASSAY_MERGE_WORK_MAX	(1u << 23) /* extends that are tried: some seconds */

struct assay_merge_input {
	const struct assay_pcr_value *seen; /* ASSAY_PCRS, as they were at one moment */
	uint32_t pcrs;			    /* those that we or the kernel extend */
	/* The kernel's next ones; the PCRs have some of the first, or all. */
	struct assay_bytes records;
	uint32_t most; /* of our last steps of each PCR that may be missing, or be among them */
	/* ASSAY_PCRS, instead of @most: how many are missing. One more may be among them. NULL: not
	 * known. */
	const uint64_t *lack;
};

/*
 * PCR = our steps but for the last @back, the kernel's first @before, with @between one more step
 * of ours, the kernel's up to @taken. (The kernel's are those of this PCR.) The rest of ours is
 * still to be extended.
 */
struct assay_merge_place {
	uint32_t back, before, taken;
	bool between;
};

struct assay_merge {
	struct assay_merge_place pcr[ASSAY_PCRS];
	uint32_t n;	 /* of the kernel's records, of all PCRs, that were extended */
	uint32_t padded; /* bit per bank: the kernel extends padded SHA-1 digests there */
};

/* @banks are those of @replay. Errors: -ENOENT no order leads to what was seen in all banks, or not
 * within the limits; -EBADMSG, -EOPNOTSUPP a record; -ENOMEM. */
int assay_merge_find(const struct assay_crypto *crypto, const struct assay_banks *banks,
		     struct assay_replay *replay, const struct assay_merge_input *in,
		     struct assay_merge *ret);

/* Steps of ours that @pcr lacks. */
static inline uint32_t assay_merge_lack(const struct assay_merge *m, uint32_t pcr)
{
	return m->pcr[pcr].back - m->pcr[pcr].between;
}

/* A walk over the records that were extended, by where they belong. */
struct assay_merge_walk {
	struct assay_rd in;
	uint32_t left;
	uint32_t taken[ASSAY_PCRS];
	uint64_t lacking; /* the first step of ours that was not extended; UINT64_MAX: none */
};
void assay_merge_walk_init(struct assay_merge_walk *w, const struct assay_merge *m,
			   struct assay_replay *replay, struct assay_bytes records);

/* The next *ret_n of them were extended before every step from entry *ret_at on; UINT64_MAX: after
 * all steps that the replay has. False: there are no more. */
bool assay_merge_next(struct assay_merge_walk *w, const struct assay_merge *m,
		      struct assay_replay *replay, uint32_t *ret_n, uint64_t *ret_at);

/* Whether what is left came after all steps of ours that were extended. */
bool assay_merge_behind(const struct assay_merge_walk *w, const struct assay_merge *m);
