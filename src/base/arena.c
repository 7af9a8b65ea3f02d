/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/arena.h"

#include <string.h>

void assay_arena_init(struct assay_arena *a, void *base, size_t size)
{
	*a = (struct assay_arena){ .base = base, .size = size };
}

void *assay_arena_alloc(struct assay_arena *a, size_t count, size_t size)
{
	size_t len, pad = (16 - ((uintptr_t)(a->base + a->used) & 15)) & 15;
	uint8_t *at;

	if (__builtin_mul_overflow(count, size, &len))
		return NULL;
	if (a->size - a->used < pad || a->size - a->used - pad < len)
		return NULL;
	at = a->base + a->used + pad;
	a->used += pad + len;
	memset(at, 0, len);
	return at;
}
