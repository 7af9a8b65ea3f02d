/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/core/dedup.h"

#include <errno.h>

static uint32_t table_slots(uint32_t i)
{
	return ASSAY_DEDUP_FIRST << i;
}

static void slot_key(struct assay_bytes digest, uint8_t key[static ASSAY_DEDUP_KEY_SIZE])
{
	size_t len = digest.len < ASSAY_DEDUP_KEY_SIZE ? digest.len : ASSAY_DEDUP_KEY_SIZE;

	memset(key, 0, ASSAY_DEDUP_KEY_SIZE);
	if (len > 0)
		memcpy(key, digest.data, len);
}

/* The slot that holds the key, or the free one where the search ends: there always is one, as a
 * table is filled to three quarters at most. */
static struct assay_dedup_slot *find_slot(struct assay_dedup_slot *table, uint32_t slots,
					  uint32_t pcr, const uint8_t *key)
{
	uint32_t at;

	memcpy(&at, key, sizeof(at)); /* a digest is as good as its own hash */
	for (at &= slots - 1; table[at].pcr_plus_1; at = (at + 1) & (slots - 1))
		if (table[at].pcr_plus_1 == pcr + 1 &&
		    memcmp(table[at].key, key, ASSAY_DEDUP_KEY_SIZE) == 0)
			break;
	return &table[at];
}

void assay_dedup_init(struct assay_dedup *d, struct assay_arena *arena)
{
	*d = (struct assay_dedup){ .arena = arena };
}

bool assay_dedup_find(const struct assay_dedup *d, uint32_t pcr, struct assay_bytes digest,
		      uint32_t *ret)
{
	uint8_t key[ASSAY_DEDUP_KEY_SIZE];

	slot_key(digest, key);
	for (uint32_t i = d->n_tables; i-- > 0;) {
		const struct assay_dedup_slot *slot =
			find_slot(d->table[i], table_slots(i), pcr, key);

		if (!slot->pcr_plus_1)
			continue;
		*ret = slot->index;
		return true;
	}
	return false;
}

static int grow(struct assay_dedup *d)
{
	struct assay_dedup_slot *table;

	if (d->n_tables == ASSAY_DEDUP_TABLES_MAX)
		return -ENOMEM;
	table = assay_arena_alloc(d->arena, table_slots(d->n_tables), sizeof(*table));
	if (!table)
		return -ENOMEM;
	d->table[d->n_tables++] = table;
	d->used = 0;
	return 0;
}

int assay_dedup_add(struct assay_dedup *d, uint32_t pcr, struct assay_bytes digest, uint32_t index)
{
	struct assay_dedup_slot *slot;
	uint8_t key[ASSAY_DEDUP_KEY_SIZE];
	uint32_t slots;

	if (d->n_tables == 0 || d->used >= table_slots(d->n_tables - 1) / 4 * 3)
		if (grow(d) < 0)
			return -ENOMEM;
	slots = table_slots(d->n_tables - 1);
	slot_key(digest, key);
	slot = find_slot(d->table[d->n_tables - 1], slots, pcr, key);
	memcpy(slot->key, key, sizeof(key));
	slot->pcr_plus_1 = (uint8_t)(pcr + 1);
	slot->index = index;
	d->used++;
	return 0;
}
