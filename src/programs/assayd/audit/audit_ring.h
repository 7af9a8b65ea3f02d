/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The last lines, each with a number, for readers of which each keeps its own place. Writing never
 * waits and never fails: what a slow reader has not taken is overwritten, and it is told how many
 * lines it has missed. Pure; the caller locks.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"

#define AUDIT_RING_LINES 4096u

struct audit_ring {
	uint8_t *data;
	size_t size;	      /* bytes */
	uint64_t first, next; /* numbers: of the oldest line, and of the next one; 1 is the first */
	struct {
		size_t at, len;
	} line[AUDIT_RING_LINES]; /* by number */
};

/* @data is borrowed. */
void audit_ring_init(struct audit_ring *r, void *data, size_t size);

/* @line has its number, r->next. One that is longer than the ring is kept as an empty one. */
void audit_ring_put(struct audit_ring *r, struct assay_bytes line);

/* The line at *@cursor or the first one after it that is still there, borrowed until the next put;
 * *@cursor is then behind it. *@missed grows by the lines in between. False: there is none yet. */
bool audit_ring_get(const struct audit_ring *r, uint64_t *cursor, uint64_t *missed,
		    struct assay_bytes *ret);
