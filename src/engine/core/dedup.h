/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which entries are in the list already: (template digest, PCR) to the index of the record, as the
 * kernel's hash table (ima_lookup_digest_entry). Tables of 32-byte slots, each next one twice as
 * large: nothing is moved or freed when it grows, so an arena serves. Knows nothing of files.
 */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"

#define ASSAY_DEDUP_KEY_SIZE   27u /* bytes kept of a digest; shorter ones are padded with zeros */
#define ASSAY_DEDUP_TABLES_MAX 24u
#define ASSAY_DEDUP_FIRST      256u /* slots of the first table */

struct assay_dedup_slot {
	uint8_t key[ASSAY_DEDUP_KEY_SIZE];
	uint8_t pcr_plus_1; /* 0: the slot is free */
	uint32_t index;
};
_Static_assert(sizeof(struct assay_dedup_slot) == 32, "two slots a cache line");

struct assay_dedup {
	struct assay_arena *arena;
	struct assay_dedup_slot *table[ASSAY_DEDUP_TABLES_MAX];
	uint32_t n_tables;
	uint32_t used; /* slots of the newest table */
};

void assay_dedup_init(struct assay_dedup *d, struct assay_arena *arena);

/* True and *ret: an entry with this digest and PCR is there. */
bool assay_dedup_find(const struct assay_dedup *d, uint32_t pcr, struct assay_bytes digest,
		      uint32_t *ret);

/* Adds what assay_dedup_find() did not find. Errors: -ENOMEM, then nothing was added. */
int assay_dedup_add(struct assay_dedup *d, uint32_t pcr, struct assay_bytes digest, uint32_t index);
