/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a replay, shared by its two files: replay.c tells what a record is to the list,
 * replay_chain.c computes what the PCRs hold. */
#pragma once

#include "engine/replay.h"

#define PCRS	(ASSAY_RECORD_PCR_MAX + 1)
#define NOWHERE UINT64_MAX

/* The records of one PCR that wait for a batch record. */
struct pending {
	uint64_t first, count;
	uint64_t floor; /* anchored form: what is below this index is covered already */
	struct assay_hash_ctx *hash[ASSAY_BANKS_MAX]; /* made when first needed */
};

struct assay_replay {
	struct assay_crypto crypto;
	struct assay_banks banks;
	struct assay_checker checker;
	bool follow[ASSAY_EXTEND_KIND_COUNT];
	bool saw_state;	   /* assayd is at work: only announced records are padded any more */
	bool anchored;	   /* covered records are not in the list */
	uint32_t compared; /* bit per bank: its digest in batch records is looked at */
	enum assay_list_mode mode;
	enum assay_record_role role;
	struct assay_bytes state; /* of the record at hand, if it is a state record */
	uint64_t records, pending, covered, absent, batches;
	uint64_t steps[PCRS]; /* that are not announced as the kernel's */
	uint64_t n_announced; /* of the kernel's, taken so far */
	uint64_t kernel_left; /* records that an event=kernel record announced */
	uint64_t kernel_at;   /* they go before the steps from this entry on; NOWHERE: no */
	uint32_t behind;      /* steps that stand behind the last record */
	bool announced;	      /* the record at hand is one of them */
	bool of_kernel;	      /* the record at hand is the kernel's, as far as one can tell */
	struct assay_pcr_value value[ASSAY_EXTEND_KIND_COUNT][PCRS];
	struct pending pcr[PCRS];
	struct assay_tail tail;
};

_Static_assert((int)ASSAY_TAIL_KINDS == (int)ASSAY_EXTEND_KIND_COUNT, "the tail keeps every kind");

/* Extends by the record at hand, which is a step; @covers: entries that it proves. */
int assay_replay_step(struct assay_replay *r, const struct assay_record *record, uint64_t offset,
		      const struct assay_record_digests *d, uint64_t covers, struct assay_step *ret,
		      struct assay_err *err);
