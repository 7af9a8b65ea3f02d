/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/ledger.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

void ledger_init(struct ledger *l, int wake_fd)
{
	memset(l, 0, sizeof(*l));
	pthread_mutex_init(&l->lock, NULL);
	l->last = &l->first;
	l->wake_fd = wake_fd;
}

void ledger_done(struct ledger *l)
{
	struct ledger_counts unused;
	struct ledger_entry *e, *next;

	for (e = ledger_take(l, &unused); e; e = next) {
		next = e->next;
		free(e);
	}
	pthread_mutex_destroy(&l->lock);
}

static struct ledger_entry *make_entry(const char *path)
{
	size_t len = strlen(path);
	struct ledger_entry *e = malloc(sizeof(*e) + len + 1);

	if (!e)
		return NULL;
	e->next = NULL;
	memcpy(e->path, path, len + 1);
	return e;
}

void ledger_add(struct ledger *l, enum ledger_why why, bool allowed, const char *path,
		uint64_t waited_ms, uint64_t size)
{
	struct ledger_entry *e = NULL;

	pthread_mutex_lock(&l->lock);
	l->counts.n[why]++;
	l->counts.refused[why] += !allowed;
	if (l->n_named < LEDGER_NAMED_MAX && path)
		e = make_entry(path);
	if (e) {
		e->why = why;
		e->allowed = allowed;
		e->waited_ms = waited_ms;
		e->size = size;
		l->n_named++;
		*l->last = e;
		l->last = &e->next;
	}
	pthread_mutex_unlock(&l->lock);
	eventfd_write(l->wake_fd, 1);
}

struct ledger_entry *ledger_take(struct ledger *l, struct ledger_counts *ret)
{
	struct ledger_entry *first;

	pthread_mutex_lock(&l->lock);
	first = l->first;
	*ret = l->counts;
	l->first = NULL;
	l->last = &l->first;
	l->n_named = 0;
	l->counts = (struct ledger_counts){ 0 };
	pthread_mutex_unlock(&l->lock);
	return first;
}
