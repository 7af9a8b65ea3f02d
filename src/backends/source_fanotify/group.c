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
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"

/* O_NONBLOCK: a file under somebody's write lease is refused to its opener instead of stopping our
 * read for the lease-break time, which would stop everybody. */
#define EVENT_FLAGS (O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NONBLOCK | O_NOATIME)

/* From Linux 6.13 on; older headers lack it. */
#ifndef FAN_REPORT_FD_ERROR
#define FAN_REPORT_FD_ERROR 0x2000
#endif

static void open_group(struct assay_fanotify *f)
{
	const unsigned flags = FAN_CLASS_CONTENT | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS |
			       FAN_REPORT_TID | FAN_CLOEXEC | FAN_NONBLOCK;

	f->fd = fanotify_init(flags | FAN_REPORT_FD_ERROR, EVENT_FLAGS);
	f->tells_errors = f->fd >= 0;
	if (f->fd < 0 && errno == EINVAL)
		f->fd = fanotify_init(flags, EVENT_FLAGS);
}

int assay_fanotify_await(struct assay_fanotify **ret, struct assay_err *err)
{
	struct assay_fanotify *f = calloc(1, sizeof(*f));

	if (!f)
		return assay_err_set(err, -ENOMEM, "out of memory");
	f->fd = -1;
	f->self = getpid();
	atomic_store(&f->evictable, true);
	pthread_rwlock_init(&f->marking, NULL);
	pthread_mutex_init(&f->forgetting, NULL);
	pthread_mutex_init(&f->exempting, NULL);
	*ret = f;
	return 0;
}

int assay_fanotify_adopt(struct assay_fanotify *f, int fd, bool tells_errors, struct assay_err *err)
{
	char link[64], name[64];
	ssize_t n;

	assay_fmt(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	name[n < 0 ? 0 : n] = '\0';
	if (f->fd >= 0 || strcmp(name, "anon_inode:[fanotify]") != 0)
		return assay_err_set(err, -EBADMSG, "'%s' is no fanotify group to take over", name);
	f->fd = fd;
	f->tells_errors = tells_errors;
	return 0;
}

bool assay_fanotify_tells_errors(const struct assay_fanotify *f)
{
	return f->tells_errors;
}

int assay_fanotify_new(struct assay_fanotify **ret, struct assay_err *err)
{
	struct assay_fanotify *f;
	int r = assay_fanotify_await(&f, err);

	if (r < 0)
		return r;
	open_group(f);
	if (f->fd >= 0) {
		*ret = f;
		return 0;
	}
	r = errno == EINVAL ? -EOPNOTSUPP : -errno;
	assay_fanotify_free(f);
	if (r == -EPERM)
		return assay_err_set(err, r, "fanotify needs CAP_SYS_ADMIN");
	return assay_err_set(err, r, "cannot open a fanotify group: %s", strerror(-r));
}

void assay_fanotify_close(struct assay_fanotify *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->forgetting);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	pthread_mutex_unlock(&f->forgetting);
}

void assay_fanotify_free(struct assay_fanotify *f)
{
	if (!f)
		return;
	assay_fanotify_close(f);
	for (size_t i = 0; i < f->n_exempt; i++)
		close(f->exempt[i].pidfd);
	pthread_rwlock_destroy(&f->marking);
	pthread_mutex_destroy(&f->forgetting);
	pthread_mutex_destroy(&f->exempting);
	free(f);
}

int assay_fanotify_fd(const struct assay_fanotify *f)
{
	return f->fd;
}

/* With the lock. Who has ended is not always said to be exempt no more. */
static void forget_ended(struct assay_fanotify *f)
{
	for (size_t i = 0; i < f->n_exempt;) {
		if (syscall(SYS_pidfd_send_signal, f->exempt[i].pidfd, 0, NULL, 0) == 0 ||
		    errno != ESRCH) {
			i++;
			continue;
		}
		close(f->exempt[i].pidfd);
		f->exempt[i] = f->exempt[--f->n_exempt];
	}
}

static int exempt(struct assay_fanotify *f, pid_t pid, bool other, struct assay_err *err)
{
	struct exempt_process e = { .pid = pid, .other = other };
	bool fits;

	e.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (e.pidfd < 0)
		return assay_err_set(err, -errno, "cannot exempt process %d: %s", (int)pid,
				     strerror(errno));
	pthread_mutex_lock(&f->exempting);
	if (f->n_exempt == ASSAY_FANOTIFY_EXEMPT_MAX)
		forget_ended(f);
	fits = f->n_exempt < ASSAY_FANOTIFY_EXEMPT_MAX;
	if (fits)
		f->exempt[f->n_exempt++] = e;
	pthread_mutex_unlock(&f->exempting);
	if (fits)
		return 0;
	close(e.pidfd);
	return assay_err_set(err, -E2BIG, "more than %u exempt processes",
			     ASSAY_FANOTIFY_EXEMPT_MAX);
}

int assay_fanotify_exempt(struct assay_fanotify *f, pid_t pid, struct assay_err *err)
{
	return exempt(f, pid, false, err);
}

int assay_fanotify_exempt_other(struct assay_fanotify *f, pid_t pid, struct assay_err *err)
{
	return exempt(f, pid, true, err);
}

void assay_fanotify_on_exempted(struct assay_fanotify *f,
				void (*opened)(void *ctx, int fd, int32_t tid, bool exec),
				void *ctx)
{
	f->opened = opened;
	f->opened_ctx = ctx;
}

void assay_fanotify_unexempt(struct assay_fanotify *f, pid_t pid)
{
	pthread_mutex_lock(&f->exempting);
	for (size_t i = 0; i < f->n_exempt; i++) {
		if (f->exempt[i].pid != pid)
			continue;
		close(f->exempt[i].pidfd);
		f->exempt[i] = f->exempt[--f->n_exempt];
		break;
	}
	pthread_mutex_unlock(&f->exempting);
}

/* Asking with signal 0 whether @tid is a thread of @pid opens no file and takes no lock of ours.
 * The pidfd is asked after it: a process that lives now had its number then. */
static bool is_exempt(struct assay_fanotify *f, pid_t tid, bool *ret_other)
{
	bool exempt = false;

	if (tid <= 0)
		return false;
	if (tid == f->self || syscall(SYS_tgkill, f->self, tid, 0) == 0)
		return true;
	pthread_mutex_lock(&f->exempting);
	for (size_t i = 0; i < f->n_exempt && !exempt; i++) {
		exempt = syscall(SYS_tgkill, f->exempt[i].pid, tid, 0) == 0 &&
			 syscall(SYS_pidfd_send_signal, f->exempt[i].pidfd, 0, NULL, 0) == 0;
		*ret_other = f->exempt[i].other;
	}
	pthread_mutex_unlock(&f->exempting);
	return exempt;
}

int assay_fanotify_answer(struct assay_fanotify *f, int fd, bool allow)
{
	struct fanotify_response response = {
		.fd = fd,
		.response = allow ? FAN_ALLOW : FAN_DENY,
	};

	while (write(f->fd, &response, sizeof(response)) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static void let_through(struct assay_fanotify *f, const struct fanotify_event_metadata *m,
			bool other)
{
	atomic_fetch_add(&f->n_exempted, 1);
	assay_fanotify_answer(f, m->fd, true);
	if (other && f->opened)
		f->opened(f->opened_ctx, m->fd, m->pid, (m->mask & FAN_OPEN_EXEC_PERM) != 0);
	else
		close(m->fd);
}

/* True if the event is for the caller. */
static bool take_event(struct assay_fanotify *f, const struct fanotify_event_metadata *m,
		       struct assay_fanotify_event *ret)
{
	bool other = false;

	if (m->mask & FAN_Q_OVERFLOW) {
		atomic_fetch_add(&f->overflows, 1);
		return false;
	}
	atomic_fetch_add(&f->events, 1);
	if (m->fd < 0) {
		atomic_fetch_add(&f->refused, 1);
		return false;
	}
	if (is_exempt(f, m->pid, &other)) {
		let_through(f, m, other);
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
static size_t count_queued(const struct assay_fanotify *f, size_t max)
{
	int bytes = 0;
	size_t n;

	if (f->tells_errors || ioctl(f->fd, FIONREAD, &bytes) < 0 || bytes < 0)
		return 0;
	n = (size_t)bytes / sizeof(struct fanotify_event_metadata);
	return n < max ? n : max;
}

int assay_fanotify_read(struct assay_fanotify *f, struct assay_fanotify_event *ret, size_t max)
{
	struct fanotify_event_metadata buf[ASSAY_FANOTIFY_READ_MAX];
	const struct fanotify_event_metadata *m = buf;
	size_t n_events = 0, queued;
	ssize_t n;
	int error;

	if (max > ASSAY_FANOTIFY_READ_MAX)
		max = ASSAY_FANOTIFY_READ_MAX;
	queued = count_queued(f, max);
	n = read(f->fd, buf, max * sizeof(buf[0]));
	error = errno;
	if (n < 0 ? queued || error != EAGAIN : (size_t)n / sizeof(buf[0]) < queued)
		atomic_fetch_add(&f->refused, 1);
	if (n < 0)
		return is_refusal(error) ? 0 : -error;
	for (; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n)) {
		if (m->vers != FANOTIFY_METADATA_VERSION)
			return -EOPNOTSUPP;
		n_events += take_event(f, m, &ret[n_events]);
	}
	return (int)n_events;
}

void assay_fanotify_counts(const struct assay_fanotify *f, struct assay_fanotify_counts *ret)
{
	ret->events = atomic_load(&f->events);
	ret->exempt = atomic_load(&f->n_exempted);
	ret->refused = atomic_load(&f->refused);
	ret->overflows = atomic_load(&f->overflows);
}
