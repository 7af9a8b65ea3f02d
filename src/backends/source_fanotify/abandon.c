/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * To read an event is to open its file, in read(). If that does not come back, neither does the
 * kernel give up the group: the call has it, and in state D not even SIGKILL ends it. Then close()
 * answers nobody, nor does the end of the process. So all that waits is answered one by one: what
 * was read, by its number, and what is still in the queue by reading it. Whoever reads that may
 * stand as the first one does; then the next thread goes on behind him.
 */
#include "backends/source_fanotify/abandon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NUMBERS_MAX 131072 /* descriptors are the lowest that are free */
#define THREADS_MAX 256u   /* each may keep one descriptor: fewer than are kept back for us */
#define STACK_SIZE  (256u << 10)
#define STEP_MS	    20 /* without anything read: another thread */

struct rest {
	int fd;
	atomic_bool flushed, done;
	_Atomic unsigned n_read;
};

static void allow(int group, int fd)
{
	const struct fanotify_response r = { .fd = fd, .response = FAN_ALLOW };

	while (write(group, &r, sizeof(r)) < 0 && errno == EINTR)
		;
}

/* Also those that the read() that stands has opened before. What is no event's is refused. */
static void answer_read(int group)
{
	for (int fd = 0; fd < NUMBERS_MAX; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			allow(group, fd);
}

static bool has_more(const struct rest *r)
{
	int bytes = 0;

	return ioctl(r->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

/* To drop an inode's mark can be to drop the inode, and to wait for its filesystem. */
static void *take_rest(void *arg)
{
	struct rest *r = arg;
	struct fanotify_event_metadata event;

	if (!atomic_exchange(&r->flushed, true))
		fanotify_mark(r->fd, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL);
	while (has_more(r)) {
		ssize_t n = read(r->fd, &event, sizeof(event));

		atomic_fetch_add(&r->n_read, 1);
		if (n != (ssize_t)sizeof(event) || event.fd < 0)
			continue;
		allow(r->fd, event.fd);
		close(event.fd);
	}
	atomic_store(&r->done, true);
	return NULL;
}

static void start_another(struct rest *r)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	(void)pthread_create(&thread, &attr, take_rest, r);
	pthread_attr_destroy(&attr);
}

void assay_fanotify_abandon(int fd)
{
	struct rest *r = calloc(1, sizeof(*r)); /* the threads' */
	unsigned before;

	/* From here on nobody else comes. */
	fanotify_mark(fd, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0, AT_FDCWD, NULL);
	answer_read(fd);
	if (!r)
		return;
	r->fd = fd;
	for (unsigned n = 0; n < THREADS_MAX && !atomic_load(&r->done); n++) {
		start_another(r);
		do {
			before = atomic_load(&r->n_read);
			poll(NULL, 0, STEP_MS);
		} while (!atomic_load(&r->done) && atomic_load(&r->n_read) != before);
	}
}
