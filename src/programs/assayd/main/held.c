/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/held.h"

#include <errno.h>
#include <stdlib.h>

int held_init(struct held *h, uint32_t cap)
{
	*h = (struct held){ .cap = cap, .event = calloc(cap, sizeof(*h->event)) };
	if (!h->event)
		return -ENOMEM;
	pthread_mutex_init(&h->lock, NULL);
	return 0;
}

void held_done(struct held *h)
{
	if (!h->event)
		return;
	pthread_mutex_destroy(&h->lock);
	free(h->event);
	h->event = NULL;
}

uint32_t held_room(struct held *h)
{
	uint32_t room;

	pthread_mutex_lock(&h->lock);
	room = h->cap - h->n;
	pthread_mutex_unlock(&h->lock);
	return room;
}

bool held_put(struct held *h, const struct held_event *e)
{
	bool fits;

	pthread_mutex_lock(&h->lock);
	fits = h->n < h->cap;
	if (fits)
		h->event[h->n++] = *e;
	pthread_mutex_unlock(&h->lock);
	return fits;
}

/* Few are held, and not for long: who came when is looked for. */
bool held_take(struct held *h, uint64_t before_ns, struct held_event *ret)
{
	bool found = false;

	pthread_mutex_lock(&h->lock);
	for (uint32_t i = 0; i < h->n && !found; i++) {
		found = before_ns == UINT64_MAX ||
			(h->event[i].arrived_ns < before_ns && !h->event[i].event.answered);
		if (found) {
			*ret = h->event[i];
			h->event[i] = h->event[--h->n];
		}
	}
	pthread_mutex_unlock(&h->lock);
	return found;
}
