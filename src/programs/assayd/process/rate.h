/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How often something may be done: so many at once, then one each so often. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rate {
	uint64_t each_ns;
	uint32_t burst;
	uint64_t paid_ns; /* until when what was taken counts */
};

/* False: not now. */
bool rate_take(struct rate *r, uint64_t now_ns);
/* When the next may be, at the earliest. */
uint64_t rate_next_ns(const struct rate *r);
