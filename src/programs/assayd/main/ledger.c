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
	uint64_t unused[LEDGER_WHY_COUNT];
	struct ledger_entry *e, *next;

	for (e = ledger_take(l, unused); e; e = next) {
		next = e->next;
		free(e);
	}
	pthread_mutex_destroy(&l->lock);
}

static struct ledger_entry *make_entry(enum ledger_why why, const char *path, uint64_t waited_ms,
				       uint64_t size)
{
	size_t len = path ? strlen(path) : 0;
	struct ledger_entry *e = malloc(sizeof(*e) + len + 1);

	if (!e)
		return NULL;
	*e = (struct ledger_entry){ .why = why, .waited_ms = waited_ms, .size = size };
	if (len)
		memcpy(e->path, path, len);
	e->path[len] = '\0';
	return e;
}

void ledger_add(struct ledger *l, enum ledger_why why, const char *path, uint64_t waited_ms,
		uint64_t size)
{
	struct ledger_entry *e = NULL;

	pthread_mutex_lock(&l->lock);
	l->n[why]++;
	if (l->n_named < LEDGER_NAMED_MAX && path)
		e = make_entry(why, path, waited_ms, size);
	if (e) {
		l->n_named++;
		*l->last = e;
		l->last = &e->next;
	}
	pthread_mutex_unlock(&l->lock);
	eventfd_write(l->wake_fd, 1);
}

struct ledger_entry *ledger_take(struct ledger *l, uint64_t ret_n[LEDGER_WHY_COUNT])
{
	struct ledger_entry *first;

	pthread_mutex_lock(&l->lock);
	first = l->first;
	memcpy(ret_n, l->n, sizeof(l->n));
	l->first = NULL;
	l->last = &l->first;
	l->n_named = 0;
	memset(l->n, 0, sizeof(l->n));
	pthread_mutex_unlock(&l->lock);
	return first;
}
