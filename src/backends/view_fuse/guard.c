/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two processes, so that the mount goes whichever process is killed: each watches the one that
 * serves, its parent, and the other. They can do nothing but unmount.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/view_fuse/mount.h"
#include "base/file.h"

#define UNMOUNT_FLAGS (MNT_DETACH | UMOUNT_NOFOLLOW)

enum { WATCH_SERVER, WATCH_PARENT, WATCH_OTHER, WATCH_COUNT };

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Nothing but what is watched, and the folder that the mount is in as the current one. */
static void close_others(const struct pollfd watch[WATCH_COUNT])
{
	long max = sysconf(_SC_OPEN_MAX);

	if (max < 0 || max > 4096)
		max = 4096; /* no more are open this early */
	for (int fd = 3; fd < max; fd++)
		if (fd != watch[WATCH_SERVER].fd && fd != watch[WATCH_PARENT].fd &&
		    fd != watch[WATCH_OTHER].fd)
			close(fd);
}

static int keep_one_capability(void)
{
	const cap_value_t admin = CAP_SYS_ADMIN;
	cap_t caps = cap_init();
	int r = caps ? 0 : -ENOMEM;

	if (r == 0 &&
	    (cap_set_flag(caps, CAP_PERMITTED, 1, &admin, CAP_SET) < 0 ||
	     cap_set_flag(caps, CAP_EFFECTIVE, 1, &admin, CAP_SET) < 0 || cap_set_proc(caps) < 0))
		r = -errno;
	if (caps)
		cap_free(caps);
	return r;
}

/* Where nobody can change it any more: mprotect() is not among what is left. */
static int keep_name(const struct assay_view_mount *m, const char **ret)
{
	char *name = mmap(NULL, sizeof(m->name), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (name == MAP_FAILED)
		return -errno;
	memcpy(name, m->name, sizeof(m->name));
	if (mprotect(name, sizeof(m->name), PROT_READ) < 0)
		return -errno;
	*ret = name;
	return 0;
}

/* A filter sees addresses, not texts: the name is known by where it is. */
static int allow_calls(scmp_filter_ctx filter, const char *name)
{
	static const int calls[] = {
		SCMP_SYS(poll), SCMP_SYS(ppoll),	SCMP_SYS(exit_group),
		SCMP_SYS(exit), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	};
	const scmp_datum_t at = (uintptr_t)name;
	int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(umount2), 2,
				 SCMP_A0(SCMP_CMP_EQ, at),
				 SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, UNMOUNT_FLAGS));

	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(statx), 1,
				     SCMP_A1(SCMP_CMP_EQ, at));
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(calls); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

/* What is not needed is refused, not punished: a guard that is killed takes the mount with it. */
int assay_view_guard_confine(const struct assay_view_mount *m, const char **ret_name)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	const char *name = NULL;
	int r = filter ? keep_one_capability() : -ENOMEM;

	if (r == 0)
		r = keep_name(m, &name);
	if (r == 0)
		r = allow_calls(filter, name);
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	if (r == 0)
		r = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	if (r == 0)
		*ret_name = name;
	return r;
}

/* Unless another one is there by now: that is not ours. Asks nobody who serves it. */
static void unmount(const struct assay_view_mount *m, const char *name)
{
	struct statx st;

	if (statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, 0, &st) == 0 &&
	    st.stx_dev_major == m->dev_major && st.stx_dev_minor == m->dev_minor)
		(void)umount2(name, UNMOUNT_FLAGS);
}

static _Noreturn void run(const struct assay_view_mount *m, struct pollfd watch[WATCH_COUNT],
			  bool over)
{
	const char *name = m->name;

	if (fchdir(m->parent_fd) < 0)
		_exit(1);
	prctl(PR_SET_NAME, "assay-unmount");
	signal(SIGTERM, SIG_IGN); /* meant for whoever serves, and then for us by its end */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	close_others(watch);
	if (assay_view_guard_confine(m, &name) < 0)
		over = true; /* no view rather than one whose guards could do more */
	while (!over) {
		int n = poll(watch, WATCH_COUNT, -1);

		over = n < 0 ? errno != EINTR : n > 0;
	}
	unmount(m, name);
	/* Not by _exit(): before what does not return the address sanitizer asks for a stack, and
	 * takes the refusal for a fault. */
	for (;;)
		syscall(SYS_exit_group, 0);
}

/* The first of the two; makes the other one. */
static _Noreturn void run_first(const struct assay_view_mount *m, struct pollfd watch[WATCH_COUNT])
{
	int self = open_pidfd(getpid());
	pid_t other = self < 0 ? -1 : fork();

	if (other == 0)
		watch[WATCH_OTHER].fd = self;
	else if (other > 0)
		watch[WATCH_OTHER].fd = open_pidfd(other);
	run(m, watch, watch[WATCH_OTHER].fd < 0);
}

int assay_view_guard_start(const struct assay_view_mount *m, int parent_pidfd,
			   struct assay_view_guard *ret, struct assay_err *err)
{
	int ends[2] = { -1, -1 }, pidfd = -1, code;
	pid_t first = -1;

	if (pipe2(ends, O_CLOEXEC) == 0)
		first = fork();
	if (first == 0) {
		struct pollfd watch[WATCH_COUNT] = {
			{ .fd = ends[0], .events = POLLIN },
			{ .fd = parent_pidfd, .events = POLLIN },
			{ .fd = -1, .events = POLLIN },
		};
		run_first(m, watch);
	}
	if (first > 0)
		pidfd = open_pidfd(first);
	code = -errno;
	assay_auto_fd(&ends[0]);
	if (pidfd < 0) {
		if (first < 0 && fchdir(m->parent_fd) == 0)
			unmount(m, m->name);
		assay_auto_fd(&ends[1]); /* if it is there, it ends by this, and unmounts */
		return assay_err_set(err, code, "cannot start who is to unmount the view: %s",
				     strerror(-code));
	}
	ret->stop_fd = ends[1];
	ret->pidfd = pidfd;
	return 0;
}

int assay_view_guard_stop(struct assay_view_guard *g, int timeout_ms)
{
	struct pollfd p = { .fd = g->pidfd, .events = POLLIN };
	int n;

	assay_auto_fd(&g->stop_fd);
	n = poll(&p, 1, timeout_ms);
	assay_auto_fd(&g->pidfd);
	g->stop_fd = g->pidfd = -1;
	return n == 1 ? 0 : -ETIMEDOUT;
}
