/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/closer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define END_NS 2000000000u

struct closer {
	struct arrivals *arrivals;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	int *fd; /* the newest last: the order is nobody's concern */
	size_t n, cap;
	bool ends;
};

static void *run(void *arg)
{
	struct closer *c = arg;

	pthread_mutex_lock(&c->lock);
	while (c->n > 0 || !c->ends) {
		int fd;

		if (c->n == 0) {
			pthread_cond_wait(&c->more, &c->lock);
			continue;
		}
		fd = c->fd[--c->n];
		pthread_mutex_unlock(&c->lock);
		close(fd);
		arrivals_drop(c->arrivals);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* With the lock. */
static bool has_room(struct closer *c)
{
	size_t cap = c->cap ? 2 * c->cap : 64;
	int *bigger;

	if (c->n < c->cap)
		return true;
	bigger = realloc(c->fd, cap * sizeof(*bigger));
	if (!bigger)
		return false;
	c->fd = bigger;
	c->cap = cap;
	return true;
}

static bool hand_over(struct closer *c, int fd)
{
	bool fits;

	pthread_mutex_lock(&c->lock);
	fits = has_room(c);
	if (fits) {
		atomic_fetch_add(&c->arrivals->held, 1);
		c->fd[c->n++] = fd;
		pthread_cond_signal(&c->more);
	}
	pthread_mutex_unlock(&c->lock);
	return fits;
}

void closer_close(struct closer *c, int fd)
{
	struct stat st;

	if (fd < 0 || (fstat(fd, &st) == 0 && st.st_nlink == 0 && hand_over(c, fd)))
		return;
	close(fd);
}

int closer_new(struct arrivals *arrivals, struct closer **ret)
{
	struct closer *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->arrivals = arrivals;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	r = -pthread_create(&c->thread, NULL, run, c);
	if (r < 0)
		free(c);
	else
		*ret = c;
	return r;
}

void closer_free(struct closer *c)
{
	/* pthread_timedjoin_np() has the clock that can be set. */
	struct timespec until = assay_clock_at(assay_clock_read(CLOCK_REALTIME) + END_NS);

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->ends = true;
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
	if (pthread_timedjoin_np(c->thread, NULL, &until) != 0)
		return; /* it still uses what it is given */
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	free(c->fd);
	free(c);
}
