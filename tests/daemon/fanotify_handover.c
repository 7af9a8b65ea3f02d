/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What decision 0048 believes of the kernel, asked of this one: a group and its outstanding events
 * are given to another process over a socket, and who reads next, answers, or dies is tried.
 *
 * usage: fanotify_handover DIR; prints a line per fact; exits 1 if one does not hold.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs/assayd/process/ipc.h"

#define PATIENCE_MS 5000

static char path[2][4096];
static bool failed;

static void fact(bool holds, const char *what)
{
	printf("%s: %s\n", holds ? "holds" : "DOES NOT HOLD", what);
	failed |= !holds;
}

/* A process that opens @file and ends: 0 it could, 1 it was refused. */
static pid_t start_opener(const char *file)
{
	pid_t pid = fork();

	if (pid < 0)
		err(2, "fork");
	if (pid == 0) {
		close_range(3, ~0u, 0); /* the group: who inherits it holds it */
		_exit(open(file, O_RDONLY | O_CLOEXEC) < 0);
	}
	return pid;
}

static int pidfd_of(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		err(2, "pidfd_open");
	return fd;
}

/* Its exit status, or -1 if it still waits after @ms. */
static int outcome(pid_t pid, int ms)
{
	struct pollfd p = { .fd = pidfd_of(pid), .events = POLLIN };
	int n = poll(&p, 1, ms), status;

	close(p.fd);
	if (n != 1 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

static int make_group(const char *dir)
{
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_UNLIMITED_QUEUE | FAN_CLOEXEC,
				  O_RDONLY | O_CLOEXEC);

	if (group < 0 || fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_PERM,
				       AT_FDCWD, dir) < 0)
		err(2, "fanotify");
	return group;
}

/* The number of the next event's descriptor. */
static int read_event(int group)
{
	struct fanotify_event_metadata m;
	struct pollfd p = { .fd = group, .events = POLLIN };

	if (poll(&p, 1, PATIENCE_MS) != 1 || read(group, &m, sizeof(m)) != sizeof(m))
		err(2, "no event");
	return m.fd;
}

static int answer(int group, int number, unsigned what)
{
	struct fanotify_response r = { .fd = number, .response = what };

	return write(group, &r, sizeof(r)) < 0 ? -errno : 0;
}

static void send_fds(int socket, uint64_t number, int group, int event)
{
	struct ipc_message m = { .type = 1, .id = number, .n_fds = event < 0 ? 1 : 2 };

	m.fd[0] = group;
	m.fd[1] = event;
	if (ipc_send(socket, &m) < 0)
		errx(2, "send");
}

static struct ipc_message receive(int socket)
{
	static struct ipc_buffer buffer;
	struct ipc_message m;

	if (ipc_receive(socket, &buffer, &m) < 0)
		_exit(2);
	return m;
}

/* ---- an event that one has read and another answers ------------------------------------------ */

/* In the process that takes over: the descriptor is brought to its number, which is answered. */
static int take_and_deny(int socket)
{
	struct ipc_message m = receive(socket);
	int number = (int)m.id;

	if (m.fd[1] != number && fcntl(number, F_GETFD) < 0 && dup2(m.fd[1], number) != number)
		return 3;
	return answer(m.fd[0], number, FAN_DENY) == 0 ? 0 : 4;
}

static void try_answer(const char *dir)
{
	int pair[2], group = make_group(dir), number, status;
	pid_t opener = start_opener(path[0]), taker;

	number = read_event(group);
	if (ipc_pair(pair) < 0 || (taker = fork()) < 0)
		err(2, "fork");
	if (taker == 0) {
		close(group);
		close(number);
		_exit(take_and_deny(pair[1]));
	}
	send_fds(pair[0], (uint64_t)number, group, number);
	status = outcome(taker, PATIENCE_MS);
	fact(status == 0 && outcome(opener, PATIENCE_MS) == 1,
	     "another process answers the event by the number that its reader got");
	close(number);
	close(group);
}

/* ---- two events of one number -----------------------------------------------------------------
 */

static int read_second(int socket, int second)
{
	struct ipc_message m = receive(socket);
	struct pollfd p = { .fd = pidfd_of(second), .events = POLLIN };
	int number;

	/* Nothing keeps the number of the first: this read gets it again. */
	close(m.fd[1]);
	while ((number = read_event(m.fd[0])) < (int)m.id)
		answer(m.fd[0], number, FAN_ALLOW);
	if (number != (int)m.id)
		return 5;
	answer(m.fd[0], number, FAN_DENY);
	/* Who was answered? The second one waits on. */
	number = poll(&p, 1, 200);
	answer(m.fd[0], (int)m.id, FAN_ALLOW);
	return number == 0 ? 0 : 6;
}

static void try_collision(const char *dir)
{
	int pair[2], group = make_group(dir), number, status;
	pid_t first = start_opener(path[0]), second, taker;

	number = read_event(group);
	second = start_opener(path[1]);
	if (ipc_pair(pair) < 0 || (taker = fork()) < 0)
		err(2, "fork");
	if (taker == 0) {
		close(group);
		close(number);
		_exit(read_second(pair[1], second));
	}
	send_fds(pair[0], (uint64_t)number, group, number);
	status = outcome(taker, PATIENCE_MS);
	fact(status == 0 && outcome(first, PATIENCE_MS) == 1 && outcome(second, PATIENCE_MS) == 0,
	     "of two events with one number the older is answered: a number must stay taken");
	close(number);
	close(group);
}

/* ---- who holds the group ------------------------------------------------------------------------
 */

static int hold(int socket)
{
	struct ipc_message m = receive(socket);

	(void)m;
	pause();
	return 0;
}

static void try_release(const char *dir)
{
	int pair[2], group = make_group(dir), number;
	pid_t first = start_opener(path[0]), second, taker;

	number = read_event(group);
	if (ipc_pair(pair) < 0 || (taker = fork()) < 0)
		err(2, "fork");
	if (taker == 0) {
		close(group);
		close(number);
		close(pair[0]);
		_exit(hold(pair[1]));
	}
	close(pair[1]);
	send_fds(pair[0], (uint64_t)number, group, number);
	close(number);
	close(group);
	second = start_opener(path[1]);
	fact(outcome(first, 200) == -1 && outcome(second, 200) == -1,
	     "whoever waits goes on waiting when the first process has closed the group");
	kill(taker, SIGKILL);
	fact(outcome(first, PATIENCE_MS) == 0 && outcome(second, PATIENCE_MS) == 0,
	     "all go on when the last process that holds it is killed");
	outcome(taker, PATIENCE_MS);
	close(pair[0]);
}

/* Over a socket that nobody has read: it goes with the socket. */
static void try_in_flight(const char *dir)
{
	int pair[2], group = make_group(dir), number;
	pid_t opener = start_opener(path[0]);

	number = read_event(group);
	if (ipc_pair(pair) < 0)
		err(2, "socketpair");
	send_fds(pair[0], (uint64_t)number, group, number);
	close(number);
	close(group);
	fact(outcome(opener, 200) == -1, "a group that is under way in a socket is held");
	close(pair[1]);
	close(pair[0]);
	fact(outcome(opener, PATIENCE_MS) == 0, "and goes with the socket");
}

/* ---- marks
 * --------------------------------------------------------------------------------------- */

static int ask_marks(int socket)
{
	struct ipc_message m = receive(socket);
	pid_t known = start_opener(path[0]), unknown = start_opener(path[1]);
	int number, status = outcome(known, PATIENCE_MS);

	number = read_event(m.fd[0]);
	answer(m.fd[0], number, FAN_DENY);
	return status == 0 && outcome(unknown, PATIENCE_MS) == 1 ? 0 : 7;
}

static void try_marks(const char *dir)
{
	int pair[2], group = make_group(dir);
	pid_t taker;

	if (fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK, FAN_OPEN_PERM, AT_FDCWD,
			  path[0]) < 0 ||
	    ipc_pair(pair) < 0 || (taker = fork()) < 0)
		err(2, "mark");
	if (taker == 0) {
		close(group);
		_exit(ask_marks(pair[1]));
	}
	send_fds(pair[0], 0, group, -1);
	close(group);
	fact(outcome(taker, PATIENCE_MS) == 0,
	     "marks of filesystems and ignore marks of inodes go with the group");
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: fanotify_handover DIR");
	alarm(60); /* whoever waits shall not wait for ever */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 2; i++) {
		int fd;

		snprintf(path[i], sizeof(path[i]), "%s/file%d", argv[1], i);
		fd = open(path[i], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			err(2, "%s", path[i]);
		close(fd);
	}
	try_answer(argv[1]);
	try_collision(argv[1]);
	try_release(argv[1]);
	try_in_flight(argv[1]);
	try_marks(argv[1]);
	return failed;
}
