/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fanotify group: reads events and answers them. What happens here between an event and its
 * answer may not open a file or wait for anybody: the opener may be the one that we wait for.
 */
#include "backends/source_fanotify/group.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/file.h"

/* O_NONBLOCK: a file under somebody's write lease is refused to its opener instead of stopping our
 * read for the lease-break time, which would stop everybody. */
#define EVENT_FLAGS (O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NONBLOCK | O_NOATIME)

/* From Linux 6.13 on; older headers lack it. */
#ifndef FAN_REPORT_FD_ERROR
#define FAN_REPORT_FD_ERROR 0x2000
#endif

int assay_fanotify_open_group(struct assay_fanotify *f)
{
	const unsigned flags = FAN_CLASS_CONTENT | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS |
			       FAN_REPORT_TID | FAN_CLOEXEC | FAN_NONBLOCK;

	int fd = fanotify_init(flags | FAN_REPORT_FD_ERROR, EVENT_FLAGS);

	f->tells_errors = fd >= 0;
	if (fd < 0 && errno == EINVAL)
		fd = fanotify_init(flags, EVENT_FLAGS);
	return fd < 0 ? -errno : fd;
}

int assay_fanotify_poll_group(struct assay_fanotify *f, int fd)
{
	struct epoll_event on_input = { .events = EPOLLIN };

	return epoll_ctl(f->poll_fd, EPOLL_CTL_ADD, fd, &on_input) < 0 ? -errno : 0;
}

/* All that has to be there before the first mark. */
static int open_all(struct assay_fanotify *f)
{
	int fd, r;

	for (size_t i = 0; i < GROUPS; i++)
		atomic_store(&f->group[i].fd, -1);
	f->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	f->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (f->poll_fd < 0 || f->timer_fd < 0)
		return -errno;
	fd = assay_fanotify_open_group(f);
	if (fd < 0)
		return fd == -EINVAL ? -EOPNOTSUPP : fd;
	atomic_store(&f->group[0].fd, fd);
	r = assay_fanotify_poll_group(f, f->timer_fd);
	return r < 0 ? r : assay_fanotify_poll_group(f, fd);
}

int assay_fanotify_new(struct assay_fanotify **ret, struct assay_err *err)
{
	struct assay_fanotify *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return assay_err_set(err, -ENOMEM, "out of memory");
	f->self = getpid();
	atomic_store(&f->evictable, true);
	pthread_rwlock_init(&f->marking, NULL);
	pthread_mutex_init(&f->forgetting, NULL);
	pthread_rwlock_init(&f->closing, NULL);
	r = open_all(f);
	if (r == 0) {
		*ret = f;
		return 0;
	}
	assay_fanotify_free(f);
	if (r == -EPERM)
		return assay_err_set(err, r, "fanotify needs CAP_SYS_ADMIN");
	return assay_err_set(err, r, "cannot open a fanotify group: %s", strerror(-r));
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void assay_fanotify_close(struct assay_fanotify *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->forgetting);
	pthread_rwlock_wrlock(&f->closing);
	for (size_t i = 0; i < GROUPS; i++)
		close_fd(atomic_exchange(&f->group[i].fd, -1));
	pthread_rwlock_unlock(&f->closing);
	pthread_mutex_unlock(&f->forgetting);
}

void assay_fanotify_free(struct assay_fanotify *f)
{
	if (!f)
		return;
	assay_fanotify_close(f);
	for (size_t i = 0; i < f->n_exempt; i++)
		close(f->exempt[i].pidfd);
	close_fd(f->timer_fd);
	close_fd(f->poll_fd);
	pthread_rwlock_destroy(&f->closing);
	pthread_rwlock_destroy(&f->marking);
	pthread_mutex_destroy(&f->forgetting);
	free(f);
}

int assay_fanotify_fd(const struct assay_fanotify *f)
{
	return f->poll_fd;
}

int assay_fanotify_exempt(struct assay_fanotify *f, pid_t pid, struct assay_err *err)
{
	struct exempt_process *e = &f->exempt[f->n_exempt];

	if (f->n_exempt == ASSAY_FANOTIFY_EXEMPT_MAX)
		return assay_err_set(err, -E2BIG, "more than %u exempt processes",
				     ASSAY_FANOTIFY_EXEMPT_MAX);
	e->pid = pid;
	e->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (e->pidfd < 0)
		return assay_err_set(err, -errno, "cannot exempt process %d: %s", (int)pid,
				     strerror(errno));
	f->n_exempt++;
	return 0;
}

/* Asking with signal 0 whether @tid is a thread of @pid opens no file and takes no lock of ours.
 * The pidfd is asked after it: a process that lives now had its number then. */
static bool is_exempt(const struct assay_fanotify *f, pid_t tid)
{
	if (tid <= 0)
		return false;
	if (tid == f->self || syscall(SYS_tgkill, f->self, tid, 0) == 0)
		return true;
	for (size_t i = 0; i < f->n_exempt; i++)
		if (syscall(SYS_tgkill, f->exempt[i].pid, tid, 0) == 0 &&
		    syscall(SYS_pidfd_send_signal, f->exempt[i].pidfd, 0, NULL, 0) == 0)
			return true;
	return false;
}

static int write_answer(int fd, const struct fanotify_response *response)
{
	while (write(fd, response, sizeof(*response)) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* A group that has not sent the event says so, and a descriptor is of one event: which group it was
 * need not be remembered. */
int assay_fanotify_answer(struct assay_fanotify *f, int fd, bool allow)
{
	struct fanotify_response response = {
		.fd = fd,
		.response = allow ? FAN_ALLOW : FAN_DENY,
	};
	unsigned first = atomic_load(&f->current);
	int r = -ENOENT;

	pthread_rwlock_rdlock(&f->closing);
	for (unsigned i = 0; r == -ENOENT && i < GROUPS; i++) {
		struct kernel_group *g = &f->group[(first + i) % GROUPS];

		if (atomic_load(&g->fd) < 0)
			continue;
		r = write_answer(atomic_load(&g->fd), &response);
		if (r == 0)
			atomic_fetch_sub(&g->unanswered, 1);
	}
	pthread_rwlock_unlock(&f->closing);
	return r;
}

/* True if the event is for the caller. */
static bool take_event(struct assay_fanotify *f, struct kernel_group *g,
		       const struct fanotify_event_metadata *m, struct assay_fanotify_event *ret)
{
	if (m->mask & FAN_Q_OVERFLOW) {
		atomic_fetch_add(&f->overflows, 1);
		return false;
	}
	atomic_fetch_add(&f->events, 1);
	if (m->fd < 0) {
		atomic_fetch_add(&f->refused, 1);
		return false;
	}
	atomic_fetch_add(&g->unanswered, 1);
	if (is_exempt(f, m->pid)) {
		atomic_fetch_add(&f->n_exempted, 1);
		assay_fanotify_answer(f, m->fd, true);
		close(m->fd);
		return false;
	}
	*ret = (struct assay_fanotify_event){
		.fd = m->fd,
		.tid = m->pid,
		.exec = (m->mask & FAN_OPEN_EXEC_PERM) != 0,
	};
	return true;
}

/* The kernel could not open the file for us (too many open, a write lease): it has refused the
 * opener, and reading goes on. EAGAIN is that, or an empty queue. */
static bool is_refusal(int error)
{
	return error == EMFILE || error == ENFILE || error == ETXTBSY || error == EWOULDBLOCK ||
	       error == ENXIO || error == ENODEV || error == EACCES || error == EPERM ||
	       error == ENOENT || error == ESTALE || error == EIO || error == EINTR;
}

/* Where the kernel does not tell: how many events a read of @max must give. At the first one that
 * it cannot open it stops, says so only if that is the first of all, and has refused its opener.
 * (An opener that was killed in between counts too; one that came in between may not.) */
static size_t count_queued(const struct assay_fanotify *f, int fd, size_t max)
{
	int bytes = 0;
	size_t n;

	if (f->tells_errors || ioctl(fd, FIONREAD, &bytes) < 0 || bytes < 0)
		return 0;
	n = (size_t)bytes / sizeof(struct fanotify_event_metadata);
	return n < max ? n : max;
}

static int read_group(struct assay_fanotify *f, struct kernel_group *g,
		      struct assay_fanotify_event *ret, size_t max, bool *ret_drained)
{
	struct fanotify_event_metadata buf[ASSAY_FANOTIFY_READ_MAX];
	const struct fanotify_event_metadata *m = buf;
	int error, fd = atomic_load(&g->fd);
	size_t n_events = 0, queued = count_queued(f, fd, max);
	ssize_t n = read(fd, buf, max * sizeof(buf[0]));

	error = errno;
	if (n < 0 ? queued || error != EAGAIN : (size_t)n / sizeof(buf[0]) < queued)
		atomic_fetch_add(&f->refused, 1);
	*ret_drained = n < 0 && error == EAGAIN && !queued;
	if (n < 0)
		return is_refusal(error) ? 0 : -error;
	for (; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n)) {
		if (m->vers != FANOTIFY_METADATA_VERSION)
			return -EOPNOTSUPP;
		n_events += take_event(f, g, m, &ret[n_events]);
	}
	return (int)n_events;
}

/* Those that are to be closed first. */
static int read_retired(struct assay_fanotify *f, struct assay_fanotify_event *ret, size_t max,
			unsigned *ret_drained)
{
	int n = 0, r = 0;

	for (unsigned i = 0; r >= 0 && i < GROUPS && (size_t)n < max; i++) {
		bool drained;

		if (!atomic_load(&f->group[i].retired))
			continue;
		r = read_group(f, &f->group[i], ret + n, max - (size_t)n, &drained);
		n += r > 0 ? r : 0;
		*ret_drained |= (unsigned)drained << i;
	}
	return r < 0 ? r : n;
}

int assay_fanotify_read(struct assay_fanotify *f, struct assay_fanotify_event *ret, size_t max)
{
	unsigned drained = 0, current;
	bool unused;
	int n, r = 0;

	if (max > ASSAY_FANOTIFY_READ_MAX)
		max = ASSAY_FANOTIFY_READ_MAX;
	n = read_retired(f, ret, max, &drained);
	current = atomic_load(&f->current);
	if (n >= 0 && (size_t)n < max)
		r = read_group(f, &f->group[current], ret + n, max - (size_t)n, &unused);
	if (n < 0 || r < 0)
		return n < 0 ? n : r;
	assay_fanotify_close_retired(f, drained);
	return n + r;
}

void assay_fanotify_counts(const struct assay_fanotify *f, struct assay_fanotify_counts *ret)
{
	ret->events = atomic_load(&f->events);
	ret->exempt = atomic_load(&f->n_exempted);
	ret->refused = atomic_load(&f->refused);
	ret->overflows = atomic_load(&f->overflows);
}
