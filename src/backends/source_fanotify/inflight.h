/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who works on which inode: the first event of an inode is worked on, later ones wait behind it.
 * For one thread. The descriptors that events hold keep inode numbers from being used again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

struct assay_inflight;

/* Embedded in the caller's event. */
struct assay_inflight_node {
	uint64_t dev, ino;
	struct assay_inflight_node *next_bucket, *next_waiter, **last_waiter;
};

/* Errors: -ENOMEM. */
int assay_inflight_new(struct assay_inflight **ret);
void assay_inflight_free(struct assay_inflight *t); /* NULL allowed; must be empty */
AUTO_DEFINE(inflight);

/* True: @node is the first of its inode, and the caller works on it until
 * assay_inflight_leave(). False: it waits behind the first. */
bool assay_inflight_enter(struct assay_inflight *t, struct assay_inflight_node *node);

/* Those who wait behind a first one by now, as assay_inflight_leave() gives them; it stays. */
struct assay_inflight_node *assay_inflight_waiters(struct assay_inflight_node *node);

/* Ends the work of a first one. Returns those that waited behind it, in the order in which they
 * came, linked by next_waiter; they are in the table no more. */
struct assay_inflight_node *assay_inflight_leave(struct assay_inflight *t,
						 struct assay_inflight_node *node);
