/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long openers waited: counts of those that waited no longer than so much. For any thread. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Nanoseconds, and the same in seconds as OpenMetrics writes it; the rest waited longer. */
#define LATENCY_LIST(X)                                                                            \
	X(100000u, "0.0001")                                                                       \
	X(300000u, "0.0003")                                                                       \
	X(1000000u, "0.001")                                                                       \
	X(3000000u, "0.003")                                                                       \
	X(10000000u, "0.01")                                                                       \
	X(30000000u, "0.03")                                                                       \
	X(100000000u, "0.1")                                                                       \
	X(300000000u, "0.3")                                                                       \
	X(1000000000u, "1.0")                                                                      \
	X(3000000000u, "3.0")                                                                      \
	X(10000000000u, "10.0")

enum {
#define X(ns, seconds) +1
	LATENCY_BOUNDS = 0 LATENCY_LIST(X)
#undef X
};

struct latency {
	_Atomic uint64_t n[LATENCY_BOUNDS + 1], sum_ns;
};

static inline void latency_add(struct latency *l, uint64_t ns)
{
	static const uint64_t bound[] = {
#define X(ns, seconds) ns,
		LATENCY_LIST(X)
#undef X
	};
	size_t i = 0;

	while (i < LATENCY_BOUNDS && ns > bound[i])
		i++;
	atomic_fetch_add_explicit(&l->n[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->sum_ns, ns, memory_order_relaxed);
}
