/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/readahead.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define SLOTS	  16u /* all of them within a second-level cache */
#define SLOT_SIZE (128u << 10)
/* The thread looks for itself whether there is room again: being woken from another CPU costs the
 * user more than what the user hashes meanwhile. Far less than it takes to hash all slots. */
#define NAP_NS 250000L

struct assay_readahead {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wanted; /* the thread waits for something to read */
	pthread_cond_t got;    /* the user waits: a slot was filled */
	uint8_t *buf;	       /* SLOTS times SLOT_SIZE */
	ssize_t len[SLOTS];
	/* Slots filled and taken since start; taken < filled: slot taken % SLOTS is the next. */
	uint64_t filled, taken;
	uint64_t at; /* offset of the next read */
	int fd;	     /* -1: nothing to read */
	bool busy;   /* the thread is in a read */
	bool lent;   /* the slot before taken is still the user's */
	bool quit;
	bool used; /* the user's: buf has had something in it since it was given back */
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

/* Waits for a start, or a while for room. Under the lock. */
static void wait_for_room(struct assay_readahead *a)
{
	struct timespec until = assay_clock_at(assay_clock_ns() + NAP_NS);

	if (a->fd < 0) {
		pthread_cond_wait(&a->wanted, &a->lock);
		return;
	}
	pthread_cond_timedwait(&a->wanted, &a->lock, &until);
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
			wait_for_room(a);
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
		pthread_cond_signal(&a->got);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

int assay_readahead_new(struct assay_readahead **ret)
{
	struct assay_readahead *a = calloc(1, sizeof(*a));
	pthread_condattr_t monotonic;

	if (!a || !(a->buf = aligned_alloc(4096, (size_t)SLOTS * SLOT_SIZE))) {
		free(a);
		return -ENOMEM;
	}
	a->fd = -1;
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&a->wanted, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&a->got, NULL);
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
	pthread_cond_signal(&a->wanted);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->wanted);
	pthread_cond_destroy(&a->got);
	pthread_mutex_destroy(&a->lock);
	free(a->buf);
	free(a);
}

void assay_readahead_start(struct assay_readahead *a, int fd)
{
	a->used = true;
	pthread_mutex_lock(&a->lock);
	a->fd = fd;
	a->at = a->filled = a->taken = 0;
	a->lent = false;
	pthread_cond_signal(&a->wanted);
	pthread_mutex_unlock(&a->lock);
}

ssize_t assay_readahead_next(struct assay_readahead *a, const uint8_t **ret)
{
	unsigned slot;

	pthread_mutex_lock(&a->lock);
	a->lent = false;
	while (a->taken == a->filled)
		pthread_cond_wait(&a->got, &a->lock);
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
		pthread_cond_wait(&a->got, &a->lock);
	a->filled = a->taken = 0;
	a->lent = false;
	pthread_mutex_unlock(&a->lock);
}

void assay_readahead_rest(struct assay_readahead *a)
{
	if (a->used)
		(void)madvise(a->buf, (size_t)SLOTS * SLOT_SIZE, MADV_DONTNEED);
	a->used = false;
}
