/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a batch record will say, kept up to date record by record: for each PCR that has records
 * which no batch record covers, one running hash per bank. Knows nothing of the list's storage.
 */
#pragma once

#include "base/arena.h"
#include "engine/ports.h"
#include "formats/batch.h"

struct assay_batcher_pcr {
	uint64_t first, count;
	struct assay_hash_ctx **hash; /* one a bank; made at the PCR's first record */
	struct assay_digest *digest;  /* one a bank, once sealed */
	bool sealed; /* hashes are finished: the batch record is made but not in the list yet */
};

struct assay_batcher {
	struct assay_arena *arena;
	struct assay_crypto crypto;
	struct assay_banks banks;
	uint64_t sequence; /* of the last batch record */
	struct assay_batcher_pcr pcr[ASSAY_PCRS];
};

void assay_batcher_init(struct assay_batcher *b, struct assay_arena *arena,
			const struct assay_crypto *crypto, const struct assay_banks *banks);
void assay_batcher_done(struct assay_batcher *b); /* frees the hash contexts */

/* Makes sure that a record of @pcr can be added without failing for memory. -EBUSY: a sealed batch
 * must go into the list first. */
int assay_batcher_prepare(struct assay_batcher *b, uint32_t pcr);

/* Adds a record that is in the list at @index; after assay_batcher_prepare(). */
int assay_batcher_add(struct assay_batcher *b, uint64_t index, uint32_t pcr,
		      struct assay_bytes template_name, bool violation, struct assay_bytes data);

/* PCRs that have records: bit per PCR. */
uint32_t assay_batcher_pending(const struct assay_batcher *b);

/* What the batch record of @pcr says. May be called again until assay_batcher_covered(). */
int assay_batcher_seal(struct assay_batcher *b, uint32_t pcr, struct assay_batch *ret);

/* The batch record @sequence of @pcr is in the list: nothing of that PCR is pending. */
void assay_batcher_covered(struct assay_batcher *b, uint32_t pcr, uint64_t sequence);
