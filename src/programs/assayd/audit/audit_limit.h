/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many records a rule may bring about for one user: a token bucket each, and a count of those
 * that got none. Pure; the caller locks and tells the time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUDIT_BUCKETS	    256u
#define AUDIT_BURST_SECONDS 10u	       /* what a bucket that nobody has drawn from holds */
#define AUDIT_OTHERS	    UINT32_MAX /* rule and uid of the bucket of those that found no other */

struct audit_bucket {
	uint32_t rule, uid;
	uint64_t tokens; /* thousandths */
	uint64_t filled_ns, told_ns;
	uint64_t limited; /* since it was told last */
};

struct audit_limit {
	uint32_t rate; /* records a second; 0: no limit */
	size_t n;
	struct audit_bucket bucket[AUDIT_BUCKETS]; /* the last one is that of the others */
};

void audit_limit_init(struct audit_limit *l, uint32_t rate);

/* From now on; who has saved up more than that allows loses the rest. */
void audit_limit_set_rate(struct audit_limit *l, uint32_t rate);

/* One more: true if it may be recorded, else it is counted. */
bool audit_limit_take(struct audit_limit *l, uint32_t rule, uint32_t uid, uint64_t now_ns);

/* A bucket with counts that were not told within the last second (@now_ns UINT64_MAX: any): true,
 * and the caller tells it. False: no more. */
bool audit_limit_counts(struct audit_limit *l, uint64_t now_ns, struct audit_bucket *ret);
