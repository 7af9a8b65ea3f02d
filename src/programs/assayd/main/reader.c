/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When the table of descriptors is full the kernel must not open another one for us, or it refuses
 * an opener. Reading then pauses for a moment; if nothing gets free, one event at a time is read
 * with the descriptors that are kept back: an exempt process, which the others may be waiting for,
 * is answered, and anybody else is let go as at the deadline, with a gap.
 */
#include "programs/assayd/main/reader.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PATIENCE_MS 2000

struct reader {
	struct reader_config config;
	pthread_t thread;
	int stop_fd;
	bool full; /* for longer than that */
};

static bool stops(struct pollfd p[2], int timeout_ms)
{
	return poll(p, 2, timeout_ms) > 0 && p[1].revents;
}

static uint32_t room(struct reader *r)
{
	uint32_t held = atomic_load(&r->config.arrivals->held);

	return held < r->config.max ? r->config.max - held : 0;
}

/* False: asked to stop. */
static bool wait_for_room(struct reader *r)
{
	struct arrivals *a = r->config.arrivals;
	struct pollfd p[] = { { .fd = a->room_fd, .events = POLLIN },
			      { .fd = r->stop_fd, .events = POLLIN } };
	eventfd_t unused;

	if (room(r) || r->full) {
		r->full = !room(r);
		return true;
	}
	(void)eventfd_read(a->room_fd, &unused);
	atomic_store(&a->room_wanted, true);
	if (!room(r) && stops(p, PATIENCE_MS))
		return false;
	r->full = !room(r);
	return true;
}

static void let_go(struct reader *r, const struct assay_fanotify_event *event)
{
	(void)assay_fanotify_answer(r->config.group, event->fd, r->config.deadline_allows);
	close(event->fd);
	ledger_add(r->config.ledger,
		   atomic_load(&r->config.arrivals->closed) ? LEDGER_STOP : LEDGER_FULL, NULL, 0,
		   0);
}

static void read_some(struct reader *r)
{
	struct assay_fanotify_event event[ASSAY_FANOTIFY_READ_MAX];
	uint32_t most = r->full ? 1 : room(r);
	int n = assay_fanotify_read(r->config.group, event, most);

	if (n <= 0 || (!r->full && arrivals_put(r->config.arrivals, event, (uint32_t)n, false)))
		return;
	for (int i = 0; i < n; i++)
		let_go(r, &event[i]);
}

static void *run(void *arg)
{
	struct reader *r = arg;
	struct pollfd p[] = { { .fd = assay_fanotify_fd(r->config.group), .events = POLLIN },
			      { .fd = r->stop_fd, .events = POLLIN } };

	while (wait_for_room(r) && !stops(p, -1))
		read_some(r);
	return NULL;
}

int reader_start(const struct reader_config *config, struct reader **ret, struct assay_err *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	int rc = r ? 0 : -ENOMEM;

	if (r) {
		r->config = *config;
		r->stop_fd = eventfd(0, EFD_CLOEXEC);
		rc = r->stop_fd < 0 ? -errno : -pthread_create(&r->thread, NULL, run, r);
	}
	if (rc == 0) {
		*ret = r;
		return 0;
	}
	if (r && r->stop_fd >= 0)
		close(r->stop_fd);
	free(r);
	return assay_err_set(err, rc, "cannot start a thread: %s", strerror(-rc));
}

void reader_stop(struct reader *r)
{
	if (!r)
		return;
	eventfd_write(r->stop_fd, 1);
	pthread_join(r->thread, NULL);
	close(r->stop_fd);
	free(r);
}
