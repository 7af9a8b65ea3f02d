/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The last steps of a replay, of all PCRs together: enough to put a kernel's record between them
 * that the list could only hold behind them. Constant memory; knows nothing of records.
 */
#pragma once

#include "base/macros.h"
#include "engine/ports.h"
#include "formats/mlist.h"

#define ASSAY_TAIL_MAX	 64u /* steps */
#define ASSAY_TAIL_KINDS 3   /* ways to extend, as the replay follows them */

struct assay_tail_step {
	uint64_t index;	 /* of the record in the list */
	uint64_t covers; /* entries that it proves, itself included */
	uint32_t pcr;
	struct assay_pcr_value digests;			 /* that were extended */
	struct assay_pcr_value before[ASSAY_TAIL_KINDS]; /* what the PCR held */
};

struct assay_tail {
	struct assay_tail_step step[ASSAY_TAIL_MAX];
	uint64_t pushed;
	/* Per PCR: nothing can be put before a step of a lower index. */
	uint64_t floor[ASSAY_RECORD_PCR_MAX + 1];
};

/* Room for one more step, the oldest gives way; the caller fills it, index and PCR are set. */
struct assay_tail_step *assay_tail_push(struct assay_tail *t, uint32_t pcr, uint64_t index);

/* From now on nothing goes before entries of @pcr below @index. */
void assay_tail_close(struct assay_tail *t, uint32_t pcr, uint64_t index);

/* The @back-th last step of @pcr (1: the last) that something may still go before; NULL: none. */
struct assay_tail_step *assay_tail_at(struct assay_tail *t, uint32_t pcr, uint32_t back);

/* How many steps of @pcr have an index of at least @index. -ERANGE: it is below the floor. */
int assay_tail_count(const struct assay_tail *t, uint32_t pcr, uint64_t index, uint32_t *ret);

/* How many steps that are kept, of all PCRs, have an index of at least @index. */
uint32_t assay_tail_from(const struct assay_tail *t, uint64_t index);
