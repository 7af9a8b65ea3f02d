/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/inflight.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BUCKETS 4096u

struct assay_inflight {
	struct assay_inflight_node *bucket[BUCKETS];
};

int assay_inflight_new(struct assay_inflight **ret)
{
	struct assay_inflight *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	*ret = t;
	return 0;
}

void assay_inflight_free(struct assay_inflight *t)
{
	free(t);
}

static struct assay_inflight_node **find(struct assay_inflight *t, uint64_t dev, uint64_t ino)
{
	uint64_t mixed = (ino ^ dev << 32 ^ dev >> 32) * 0x9e3779b97f4a7c15u;
	struct assay_inflight_node **at = &t->bucket[(mixed >> 40) % BUCKETS];

	while (*at && ((*at)->ino != ino || (*at)->dev != dev))
		at = &(*at)->next_bucket;
	return at;
}

bool assay_inflight_enter(struct assay_inflight *t, struct assay_inflight_node *node)
{
	struct assay_inflight_node **at, *first;

	node->next_bucket = node->next_waiter = NULL;
	node->last_waiter = &node->next_waiter;
	at = find(t, node->dev, node->ino);
	first = *at;
	if (first) {
		*first->last_waiter = node;
		first->last_waiter = &node->next_waiter;
	} else {
		*at = node;
	}
	return !first;
}

struct assay_inflight_node *assay_inflight_waiters(struct assay_inflight_node *node)
{
	struct assay_inflight_node *waiters = node->next_waiter;

	node->next_waiter = NULL;
	node->last_waiter = &node->next_waiter;
	return waiters;
}

struct assay_inflight_node *assay_inflight_leave(struct assay_inflight *t,
						 struct assay_inflight_node *node)
{
	struct assay_inflight_node **at, *waiters;

	at = find(t, node->dev, node->ino);
	assert(*at == node);
	*at = node->next_bucket;
	waiters = node->next_waiter;
	return waiters;
}
