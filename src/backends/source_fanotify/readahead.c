/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/readahead.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define SLOTS	  4u
#define SLOT_SIZE (256u << 10)

struct assay_readahead {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t *buf; /* SLOTS times SLOT_SIZE */
	ssize_t len[SLOTS];
	/* Slots filled and taken since start; taken < filled: slot taken % SLOTS is the next. */
	uint64_t filled, taken;
	uint64_t at; /* offset of the next read */
	int fd;	     /* -1: nothing to read */
	bool busy;   /* the thread is in a read */
	bool lent;   /* the slot before taken is still the user's */
	bool quit;
};

static ssize_t read_slot(int fd, uint8_t *to, uint64_t at)
{
	ssize_t n;

	do
		n = pread(fd, to, SLOT_SIZE, (off_t)at);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* A slot that the user still looks at is not filled again. */
static bool has_room(const struct assay_readahead *a)
{
	return a->fd >= 0 && a->filled - a->taken + a->lent < SLOTS;
}

static void *run(void *arg)
{
	struct assay_readahead *a = arg;

	pthread_mutex_lock(&a->lock);
	while (!a->quit) {
		unsigned slot = a->filled % SLOTS;
		int fd = a->fd;
		ssize_t n;

		if (!has_room(a)) {
			pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		a->busy = true;
		pthread_mutex_unlock(&a->lock);
		n = read_slot(fd, a->buf + slot * SLOT_SIZE, a->at);
		pthread_mutex_lock(&a->lock);
		a->busy = false;
		a->len[slot] = n;
		a->filled++;
		if (n > 0)
			a->at += (uint64_t)n;
		else
			a->fd = -1; /* the end, or an error: nothing follows */
		pthread_cond_broadcast(&a->changed);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

int assay_readahead_new(struct assay_readahead **ret)
{
	struct assay_readahead *a = calloc(1, sizeof(*a));

	if (!a || !(a->buf = aligned_alloc(4096, (size_t)SLOTS * SLOT_SIZE))) {
		free(a);
		return -ENOMEM;
	}
	a->fd = -1;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	if (pthread_create(&a->thread, NULL, run, a) != 0) {
		free(a->buf);
		free(a);
		return -EAGAIN;
	}
	*ret = a;
	return 0;
}

void assay_readahead_free(struct assay_readahead *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->quit = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a->buf);
	free(a);
}

void assay_readahead_start(struct assay_readahead *a, int fd)
{
	pthread_mutex_lock(&a->lock);
	a->fd = fd;
	a->at = a->filled = a->taken = 0;
	a->lent = false;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

ssize_t assay_readahead_next(struct assay_readahead *a, const uint8_t **ret)
{
	unsigned slot;

	pthread_mutex_lock(&a->lock);
	if (a->lent)
		pthread_cond_broadcast(&a->changed);
	a->lent = false;
	while (a->taken == a->filled)
		pthread_cond_wait(&a->changed, &a->lock);
	slot = a->taken % SLOTS;
	a->taken++;
	a->lent = true;
	pthread_mutex_unlock(&a->lock);
	*ret = a->buf + slot * SLOT_SIZE;
	return a->len[slot];
}

void assay_readahead_stop(struct assay_readahead *a)
{
	pthread_mutex_lock(&a->lock);
	a->fd = -1;
	while (a->busy)
		pthread_cond_wait(&a->changed, &a->lock);
	a->filled = a->taken = 0;
	a->lent = false;
	pthread_mutex_unlock(&a->lock);
}
