/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events on their way from the reader to the loop: any number in one piece, and one wake for many.
 * Also what the loop holds altogether, as the reader must not open more. No lock: pieces are a
 * chain that the loop takes whole.
 */
#pragma once

#include <stdatomic.h>

#include "backends/source_fanotify/source_fanotify.h"

struct held;

/* What came together. */
struct arrival_batch {
	struct arrival_batch *next;
	uint64_t arrived_ns; /* monotonic */
	bool late;	     /* what runs already: nobody waits, and nothing is answered */
	uint32_t n;
	struct assay_fanotify_event event[];
};

struct arrivals {
	_Atomic(struct arrival_batch *) newest;
	uint32_t max;		 /* events that may be */
	_Atomic uint32_t held;	 /* events that are here or in the loop */
	_Atomic uint32_t on_way; /* of these, to the recorder */
	atomic_bool asleep;	 /* the loop is, or will be */
	atomic_bool closed;	 /* nothing is taken on */
	int wake_fd;		 /* eventfd of the loop; edges count */
	int room_fd;		 /* eventfd: somebody waits for held to get less */
	atomic_bool room_wanted;
	/* Where to put what comes while it is closed; NULL: nowhere. */
	_Atomic(struct held *) spill;
};

/* @max: for arrivals_room(). Errors: as eventfd(). */
int arrivals_init(struct arrivals *a, uint32_t max);
/* What was never taken is the caller's: arrivals_take() first. */
void arrivals_done(struct arrivals *a);

/* Any thread. False: no memory, or it is closed; the events stay the caller's. */
bool arrivals_put(struct arrivals *a, const struct assay_fanotify_event *event, uint32_t n,
		  bool late);
/* The same for one that has waited since @arrived_ns. */
bool arrivals_put_since(struct arrivals *a, const struct assay_fanotify_event *event,
			uint64_t arrived_ns);
/* How many more may be held. Who puts without room does so at the cost of what is kept back. */
uint32_t arrivals_room(const struct arrivals *a);

/* ---- the loop -------------------------------------------------------------------------------- */

/* The oldest first, linked by next; each is freed by the caller. */
struct arrival_batch *arrivals_take(struct arrivals *a);
/* Before it sleeps: false if something has come meanwhile, and it must not. */
bool arrivals_may_sleep(struct arrivals *a);
void arrivals_awake(struct arrivals *a);
/* One event is no longer held. */
void arrivals_drop(struct arrivals *a);
