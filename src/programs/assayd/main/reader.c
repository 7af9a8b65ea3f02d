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

#include "base/clock.h"
#include "programs/assayd/main/let_go.h"

#define TURN_MS	     1000 /* it turns so often, at least */
#define PATIENCE_MS  500  /* and so often: a machine that stands still costs one of them */
#define PATIENCE_N   4
#define HELD_TICK_MS 20
#define STOP_STEP_MS 1

struct reader {
	struct reader_config config;
	pthread_t thread;
	int word_fd; /* eventfd: there is something new to know */
	atomic_bool stopping;
	_Atomic(struct held *) held; /* NULL: all is passed on */
	atomic_bool hurries;	     /* nobody is held back for long */
	bool full;		     /* for longer than that */
};

/* One turn: who stands in read() or anywhere else does not come here. */
static bool stops(struct reader *r, struct pollfd p[2], int timeout_ms)
{
	eventfd_t unused;

	atomic_fetch_add(&r->config.turns->n, 1);
	if (poll(p, 2, timeout_ms) > 0 && p[1].revents)
		(void)eventfd_read(r->word_fd, &unused);
	return atomic_load(&r->stopping);
}

static uint32_t room(struct reader *r)
{
	struct held *held = atomic_load(&r->held);

	return held ? held_room(held) : arrivals_room(r->config.arrivals);
}

/* False: asked to stop. */
static bool wait_for_room(struct reader *r)
{
	struct arrivals *a = r->config.arrivals;
	struct pollfd p[] = { { .fd = a->room_fd, .events = POLLIN },
			      { .fd = r->word_fd, .events = POLLIN } };
	eventfd_t unused;

	if (room(r) || r->full) {
		r->full = !room(r);
		return true;
	}
	(void)eventfd_read(a->room_fd, &unused);
	atomic_store(&a->room_wanted, true);
	for (int i = 0; i < PATIENCE_N && !room(r); i++)
		if (stops(r, p, PATIENCE_MS))
			return false;
	r->full = !room(r);
	return true;
}

static void let_go(struct reader *r, const struct assay_fanotify_event *event, enum ledger_why why,
		   uint64_t waited_ms)
{
	bool allow = atomic_load(&r->config.deadline->allows) || atomic_load(&r->hurries);

	(void)assay_fanotify_answer(r->config.group, event->fd, allow);
	close(event->fd);
	ledger_add(r->config.ledger, why, allow, NULL, waited_ms, 0);
}

/* Nobody else keeps their time. */
static void answer_overdue(struct reader *r, struct held *held)
{
	uint64_t now = assay_clock_ns(),
		 most = (uint64_t)atomic_load(&r->config.deadline->ms) * 1000000u;
	struct held_event e;

	if (atomic_load(&r->hurries))
		most = 0;
	while (now > most && held_take(held, now - most, &e))
		let_go(r, &e.event, LEDGER_DEADLINE, (now - e.arrived_ns) / 1000000u);
}

/* Looked at again when it was not taken: who closes has said before that it is to be held. */
static void pass_on(struct reader *r, const struct assay_fanotify_event *event, uint32_t n)
{
	const uint64_t now = assay_clock_ns();
	struct held *held = atomic_load(&r->held);

	if (!held && arrivals_put(r->config.arrivals, event, n, false))
		return;
	held = atomic_load(&r->held);
	for (uint32_t i = 0; i < n; i++)
		if (!held || !held_put(held, &(struct held_event){ event[i], now }))
			let_go(r, &event[i],
			       atomic_load(&r->config.arrivals->closed) ? LEDGER_STOP : LEDGER_FULL,
			       0);
}

static void read_some(struct reader *r)
{
	struct assay_fanotify_event event[ASSAY_FANOTIFY_READ_MAX];
	uint32_t most = r->full ? 1 : room(r);
	int n = assay_fanotify_read(r->config.group, event, most);

	if (n > 0 && !r->full)
		pass_on(r, event, (uint32_t)n);
	else if (n > 0)
		let_go(r, event, LEDGER_FULL, 0);
}

static void *run(void *arg)
{
	struct reader *r = arg;
	struct pollfd p[] = { { .fd = assay_fanotify_fd(r->config.group), .events = POLLIN },
			      { .fd = r->word_fd, .events = POLLIN } };
	struct held *held = atomic_load(&r->held);

	while (wait_for_room(r) && !stops(r, p, held ? HELD_TICK_MS : TURN_MS)) {
		if (p[0].revents)
			read_some(r);
		held = atomic_load(&r->held);
		if (held)
			answer_overdue(r, held);
	}
	atomic_store(&r->config.turns->turning, false);
	return NULL;
}

int reader_start(const struct reader_config *config, struct reader **ret, struct assay_err *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	int rc = r ? 0 : -ENOMEM;

	if (r) {
		r->config = *config;
		atomic_init(&r->held, config->held);
		r->word_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		atomic_store(&config->turns->turning, true);
		rc = r->word_fd < 0 ? -errno : -pthread_create(&r->thread, NULL, run, r);
	}
	if (rc == 0) {
		*ret = r;
		return 0;
	}
	if (r && r->word_fd >= 0)
		close(r->word_fd);
	free(r);
	atomic_store(&config->turns->turning, false);
	return assay_err_set(err, rc, "cannot start a thread: %s", strerror(-rc));
}

/* False: it stands still for good, as the pulse would say of it. */
static bool has_stopped(struct reader *r)
{
	uint64_t last = assay_clock_ns(), waited = 0;

	while (pthread_tryjoin_np(r->thread, NULL) != 0) {
		if (waited > PULSE_END_NS)
			return false;
		poll(NULL, 0, STOP_STEP_MS);
		waited += assay_clock_step(&last, assay_clock_ns(), PULSE_STEP_NS);
	}
	return true;
}

void reader_stop(struct reader *r)
{
	if (!r)
		return;
	atomic_store(&r->stopping, true);
	eventfd_write(r->word_fd, 1);
	if (!has_stopped(r))
		let_all_go(assay_fanotify_fd(r->config.group), LET_GO_READER);
	close(r->word_fd);
	free(r);
}

void reader_hold(struct reader *r, struct held *held)
{
	atomic_store(&r->held, held);
	eventfd_write(r->word_fd, 1);
}

void reader_hurry(struct reader *r)
{
	if (!atomic_exchange(&r->hurries, true))
		eventfd_write(r->word_fd, 1);
}
