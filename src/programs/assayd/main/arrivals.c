/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/arrivals.h"

#include "base/clock.h"
#include "programs/assayd/main/held.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int arrivals_init(struct arrivals *a, uint32_t max)
{
	memset(a, 0, sizeof(*a));
	a->max = max;
	a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return a->wake_fd < 0 || a->room_fd < 0 ? -errno : 0;
}

void arrivals_done(struct arrivals *a)
{
	close(a->wake_fd);
	close(a->room_fd);
}

static void wake(struct arrivals *a)
{
	if (atomic_exchange(&a->asleep, false))
		eventfd_write(a->wake_fd, 1);
}

uint32_t arrivals_room(const struct arrivals *a)
{
	uint32_t n = atomic_load(&a->held);

	return n < a->max ? a->max - n : 0;
}

static bool spill(struct arrivals *a, const struct held_event *e)
{
	struct held *held = atomic_load(&a->spill);

	return held && held_put(held, e);
}

/* A piece may get into the chain after who closed has emptied it: that one takes the chain once
 * more when nobody is left who puts. */
static bool put(struct arrivals *a, const struct assay_fanotify_event *event, uint32_t n, bool late,
		uint64_t arrived_ns)
{
	struct arrival_batch *b;

	if (n == 0)
		return true;
	if (atomic_load(&a->closed))
		return !late && n == 1 && spill(a, &(struct held_event){ *event, arrived_ns });
	if (!(b = malloc(sizeof(*b) + n * sizeof(*event))))
		return false;
	b->arrived_ns = arrived_ns;
	b->late = late;
	b->n = n;
	memcpy(b->event, event, n * sizeof(*event));
	atomic_fetch_add(&a->held, n);
	atomic_fetch_add(&a->on_way, n);
	b->next = atomic_load(&a->newest);
	while (!atomic_compare_exchange_weak(&a->newest, &b->next, b))
		;
	wake(a);
	return true;
}

bool arrivals_put(struct arrivals *a, const struct assay_fanotify_event *event, uint32_t n,
		  bool late)
{
	return put(a, event, n, late, assay_clock_ns());
}

bool arrivals_put_since(struct arrivals *a, const struct assay_fanotify_event *event,
			uint64_t arrived_ns)
{
	return put(a, event, 1, false, arrived_ns);
}

struct arrival_batch *arrivals_take(struct arrivals *a)
{
	struct arrival_batch *b, *next, *oldest = NULL;

	if (!atomic_load(&a->newest))
		return NULL;
	for (b = atomic_exchange(&a->newest, NULL); b; b = next) {
		next = b->next;
		b->next = oldest;
		oldest = b;
	}
	return oldest;
}

bool arrivals_may_sleep(struct arrivals *a)
{
	atomic_store(&a->asleep, true);
	if (!atomic_load(&a->newest))
		return true;
	atomic_store(&a->asleep, false);
	return false;
}

void arrivals_awake(struct arrivals *a)
{
	atomic_store(&a->asleep, false);
}

void arrivals_drop(struct arrivals *a)
{
	atomic_fetch_sub(&a->held, 1);
	if (atomic_load(&a->room_wanted) && atomic_exchange(&a->room_wanted, false))
		eventfd_write(a->room_fd, 1);
}
