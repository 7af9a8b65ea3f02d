/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which content of which file has its audit record: what the kernel keeps as a flag in its inode
 * cache. Where an ignore mark is set nobody asks; this is for files that cannot have one, and for
 * marks that the kernel has dropped. Of a fixed size: what is forgotten is recorded once more.
 * Pure; the caller locks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUDIT_SEEN_KEY	16u
#define AUDIT_SEEN_SETS 2048u
#define AUDIT_SEEN_WAYS 4u

/* Cut digests that nobody can choose: of device, inode number and path, and of the content. */
struct audit_seen_entry {
	uint8_t key[AUDIT_SEEN_KEY], content[AUDIT_SEEN_KEY];
};

struct audit_seen {
	struct audit_seen_entry entry[AUDIT_SEEN_SETS][AUDIT_SEEN_WAYS]; /* zeros: none */
	uint8_t oldest[AUDIT_SEEN_SETS];
};

/* Its last content is this one. */
bool audit_seen_has(const struct audit_seen *s, const struct audit_seen_entry *e);
void audit_seen_add(struct audit_seen *s, const struct audit_seen_entry *e);
