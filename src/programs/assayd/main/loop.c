/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waits for what comes, from whom it may, and keeps the time. */
#include "programs/assayd/main/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "backends/source_fanotify/lease.h"
#include "base/clock.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/loop_private.h"

#define NS_PER_MS   1000000u
#define EVENTS_ONCE 64

/* ---- set up --------------------------------------------------------------------------------- */

static int poll_fd(struct loop *l, int fd, uint32_t events, void *what)
{
	struct epoll_event e = { .events = events, .data.ptr = what };

	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* A broken lease is told by SIGIO, which is blocked in all threads. */
static int open_fds(struct loop *l)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	l->late_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->epoll_fd < 0 || l->signal_fd < 0 || l->late_fd < 0)
		return -errno;
	r = poll_fd(l, l->config.arrivals->wake_fd, EPOLLIN | EPOLLET, l->config.arrivals);
	if (r == 0)
		r = poll_fd(l, l->signal_fd, EPOLLIN, &l->signal_fd);
	return r;
}

int loop_new(const struct loop_config *config, struct loop **ret, struct assay_err *err)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return assay_err_set(err, -ENOMEM, "out of memory");
	l->config = *config;
	l->daemon = config->daemon;
	l->size_max = (uint64_t)config->daemon->conf.max_file_size_mib << 20;
	l->epoll_fd = l->signal_fd = l->late_fd = -1;
	r = open_fds(l);
	if (r == 0)
		r = assay_inflight_new(&l->inflight);
	if (r == 0)
		r = closer_new(config->arrivals, &l->closer);
	if (r == 0)
		r = crew_new(config->n_workers, &loop_crew_ops, l, l->epoll_fd, config->wake_fd,
			     &l->crew);
	if (r == 0) {
		*ret = l;
		return 0;
	}
	loop_free(l);
	return assay_err_set(err, r, "cannot make a loop: %s", strerror(-r));
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	closer_free(l->closer);
	crew_free(l->crew);
	recording_free(l->recording);
	assay_inflight_free(l->inflight);
	free(l->slot);
	close_fd(l->late_fd);
	close_fd(l->signal_fd);
	close_fd(l->epoll_fd);
	free(l);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void end_file(struct loop *l, struct file *f)
{
	loop_file_answer_early(l, f, LEDGER_STOP);
	if (f->leased)
		assay_lease_drop(f->event.fd);
	if (f->owns_inode && f->state != FILE_BEHIND)
		(void)assay_inflight_leave(l->inflight, &f->node);
	loop_file_free(l, f);
	arrivals_drop(l->config.arrivals);
}

static void end_all(struct loop *l)
{
	while (l->oldest)
		loop_file_answer_early(l, l->oldest, LEDGER_STOP);
	for (uint32_t i = 0; i < l->n_slots; i++) {
		struct file *f = loop_file_at(l, i);

		if (f)
			end_file(l, f);
	}
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void add(struct loop *l, const struct arrival_batch *b, uint32_t i)
{
	struct file *f = loop_file_new(l, &b->event[i]);

	if (!f) {
		bool waits = !b->late && !b->event[i].answered;
		bool allow = atomic_load(&l->daemon->deadline.allows);

		if (waits)
			assay_fanotify_answer(l->daemon->group, b->event[i].fd, allow);
		ledger_add(l->config.ledger, LEDGER_FULL, allow || !waits, NULL, 0, 0);
		close(b->event[i].fd);
		if (b->late)
			loop_late_done(l, 1);
		atomic_fetch_sub(&l->config.arrivals->on_way, 1);
		arrivals_drop(l->config.arrivals);
		return;
	}
	f->arrived_ns = b->arrived_ns;
	f->late = b->late;
	if (b->event[i].answered) {
		f->answered = f->goes_on = true;
		atomic_fetch_add(&l->idle_left, 1);
		atomic_fetch_sub(&l->config.arrivals->on_way, 1); /* no batch waits for it */
		loop_file_unlink(l, f);
	}
	f->on_way = !f->answered;
	loop_file_begin(l, f);
}

static void take_arrivals(struct loop *l)
{
	struct arrival_batch *b = arrivals_take(l->config.arrivals), *next;

	for (; b; b = next) {
		next = b->next;
		for (uint32_t i = 0; i < b->n; i++)
			add(l, b, i);
		free(b);
	}
}

static uint64_t deadline_ns(const struct loop *l)
{
	return (uint64_t)atomic_load(&l->daemon->deadline.ms) * NS_PER_MS;
}

/* Who is answered is in the chain no more. */
static void answer_overdue(struct loop *l, uint64_t now)
{
	struct file *f;

	while ((f = l->oldest) && now >= f->arrived_ns + deadline_ns(l)) {
		loop_file_answer_early(l, f, LEDGER_DEADLINE);
		loop_file_give_up(l, f);
	}
}

/* Milliseconds until something is due, -1: nothing is. */
static int keep_time(struct loop *l)
{
	uint64_t now = assay_clock_ns(), due = crew_tick(l->crew, now), at;

	answer_overdue(l, now);
	if (l->oldest) {
		at = l->oldest->arrived_ns + deadline_ns(l);
		due = at < due ? at : due;
	}
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : (int)((due - now) / NS_PER_MS + 1);
}

static void look_at_signals(struct loop *l)
{
	struct signalfd_siginfo info[8];

	while (read(l->signal_fd, info, sizeof(info)) > 0)
		;
	loop_file_look_at_leases(l);
}

static void poll_for_writing(struct loop *l, bool wants)
{
	struct epoll_event e = { .events = EPOLLIN | (wants ? EPOLLOUT : 0u),
				 .data.ptr = &l->recording };

	if (wants != l->wants_to_write)
		(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, l->recording_fd, &e);
	l->wants_to_write = wants;
}

/* Sends what was submitted, takes what came. A recorder that is gone is the end of assayd. */
static void turn_recording(struct loop *l)
{
	int r = recording_receive(l->recording);

	if (r == 0) {
		poll_for_writing(l, recording_wants_to_write(l->recording));
		return;
	}
	log_line(LOG_CRIT, "what records is gone: %s", strerror(-r));
	l->closed = true;
	atomic_store(&l->failed, true);
	eventfd_write(l->config.wake_fd, 1);
}

/* Answers first, then what is known of new files, then new ones. */
static void do_all(struct loop *l)
{
	do {
		atomic_fetch_add(&l->turns, 1);
		loop_file_settle(l);
		take_arrivals(l);
		if (l->room)
			loop_file_give(l);
		crew_flush(l->crew);
	} while (l->ready.first);
	if (atomic_load(&l->config.arrivals->on_way) == 0)
		recording_gathered(l->recording);
	if (recording_wants_to_write(l->recording))
		turn_recording(l);
}

static bool is_busy(const struct loop *l)
{
	return l->ready.first || (l->room && (l->small.n || l->big.n || l->idle.n));
}

/* Also one that has let go of what was canceled has room again. */
static void take_from_worker(struct loop *l, void *member)
{
	crew_receive(l->crew, member);
	l->room = true;
}

static void wait(struct loop *l, int timeout_ms)
{
	struct epoll_event e[EVENTS_ONCE];
	bool may_sleep = !is_busy(l) && arrivals_may_sleep(l->config.arrivals);
	int n = epoll_wait(l->epoll_fd, e, EVENTS_ONCE, may_sleep ? timeout_ms : 0);

	arrivals_awake(l->config.arrivals);
	for (int i = 0; i < n; i++)
		if (e[i].data.ptr == &l->signal_fd)
			look_at_signals(l);
		else if (e[i].data.ptr == &l->recording)
			turn_recording(l);
		else if (e[i].data.ptr == l->config.arrivals)
			l->room = true; /* a worker may have joined */
		else
			take_from_worker(l, e[i].data.ptr);
}

/* An answer wakes all who wait in the group, and who is not answered yet waits again: were they to
 * run between two answers, each answer would cost as much as all. Nothing is lost if it is refused.
 */
static void come_first(void)
{
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
}

static void *run(void *arg)
{
	struct loop *l = arg;

	come_first();
	atomic_store(&l->turning, true);
	while (!l->closed && !atomic_load(&l->config.arrivals->closed)) {
		do_all(l);
		wait(l, keep_time(l));
	}
	atomic_store(&l->turning, false);
	atomic_store(&l->config.arrivals->closed, true);
	if (atomic_load(&l->leaving))
		return NULL;
	take_arrivals(l);
	end_all(l);
	return NULL;
}

int loop_start(struct loop *l, int recording_fd, struct assay_err *err)
{
	int r = recording_new(recording_fd, &loop_recording_ops, l, &l->recording);

	l->closed = false;
	atomic_store(&l->leaving, false);
	atomic_store(&l->config.arrivals->closed, false);
	l->recording_fd = recording_fd;
	crew_resume(l->crew);
	if (r == 0)
		r = poll_fd(l, recording_fd, EPOLLIN, &l->recording);
	if (r == 0)
		r = -pthread_create(&l->thread, NULL, run, l);
	l->has_thread = r == 0;
	return r < 0 ? assay_err_set(err, r, "cannot start a thread: %s", strerror(-r)) : 0;
}

void loop_close(struct loop *l)
{
	if (!l)
		return;
	atomic_store(&l->config.arrivals->closed, true);
	loop_wake(l);
	if (l->has_thread)
		pthread_join(l->thread, NULL);
	l->has_thread = false;
}

void loop_end(struct loop *l)
{
	if (!l)
		return;
	take_arrivals(l);
	end_all(l);
}

/* ---- for other threads ---------------------------------------------------------------------- */

struct crew *loop_crew(struct loop *l)
{
	return l->crew;
}

void loop_wake(struct loop *l)
{
	eventfd_write(l->config.arrivals->wake_fd, 1);
}

bool loop_is_turning(const struct loop *l, uint64_t *ret_turns)
{
	*ret_turns = atomic_load(&l->turns);
	return atomic_load(&l->turning);
}

bool loop_take_segment(struct loop *l)
{
	return atomic_exchange(&l->segment, false);
}

bool loop_has_failed(struct loop *l)
{
	return atomic_load(&l->failed);
}

uint32_t loop_idle_left(struct loop *l)
{
	return atomic_load(&l->idle_left);
}

uint32_t loop_late_left(struct loop *l)
{
	return atomic_load(&l->late_left);
}

int loop_late_error(struct loop *l)
{
	return atomic_exchange(&l->late_error, 0);
}

void loop_late_done(struct loop *l, uint32_t n)
{
	atomic_fetch_sub(&l->late_left, n);
	eventfd_write(l->late_fd, 1);
}

void loop_late_left_out(struct loop *l, uint32_t n)
{
	int none = 0;

	atomic_compare_exchange_strong(&l->late_error, &none, -ECANCELED);
	loop_late_done(l, n);
}

int loop_late_fd(struct loop *l)
{
	return l->late_fd;
}

int loop_late_add(struct loop *l, int fd, int32_t pid, bool exec)
{
	const struct assay_fanotify_event event = { .fd = fd, .tid = pid, .exec = exec };

	atomic_fetch_add(&l->late_left, 1);
	if (arrivals_put(l->config.arrivals, &event, 1, true))
		return 0;
	atomic_fetch_sub(&l->late_left, 1);
	close(fd);
	return -ENOMEM;
}
