/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events that are kept back while nobody judges: between two processes, or two states of one. For
 * any thread; the lock is held over no call that waits.
 */
#pragma once

#include <pthread.h>

#include "backends/source_fanotify/source_fanotify.h"

struct held_event {
	struct assay_fanotify_event event;
	uint64_t arrived_ns;
};

struct held {
	pthread_mutex_t lock;
	uint32_t n, cap;
	struct held_event *event;
};

/* Errors: -ENOMEM. */
int held_init(struct held *h, uint32_t cap);
/* Those that are still in it are the caller's: held_take() first. */
void held_done(struct held *h);

uint32_t held_room(struct held *h);
/* False: it is full, and the event stays the caller's. */
bool held_put(struct held *h, const struct held_event *e);
/* One that came before @before_ns and waits; UINT64_MAX: any. False: there is none. */
bool held_take(struct held *h, uint64_t before_ns, struct held_event *ret);
