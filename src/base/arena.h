/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that is given once and never returned piece by piece: the engine's core takes all it needs
 * from one of these, so it runs where there is no malloc. Not thread-safe.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct assay_arena {
	uint8_t *base;
	size_t size, used; /* bytes */
};

/* @base is borrowed for the arena's life; aligned to 16 or the first allocation pays for it. */
void assay_arena_init(struct assay_arena *a, void *base, size_t size);

/* Zeroed memory, aligned to 16, or NULL when the arena is full. @count * @size may not overflow
 * unseen: NULL then too. */
void *assay_arena_alloc(struct assay_arena *a, size_t count, size_t size);
