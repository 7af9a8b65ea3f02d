/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that starts the others. It has the rights that they need, so it sees no byte of
 * anybody but main.
 */
#include "programs/assayd/process/spawner_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/memory.h"

#define CHILDREN_MAX SPAWNER_CHILDREN_MAX
#define END_STEPS    100
#define END_STEP_MS  30
#define CLEAR_OF     (CHILD_FDS + CHILD_ROLE_COUNT) /* the descriptors that a child gets */
_Static_assert(CHILD_FDS_MAX <= CHILD_ROLE_COUNT, "the spawner gets most of them");

static const char *const role_names[] = { "spawner", "worker",	 "anchor", "control",
					  "view",    "scout",	 "walker", "overlay-probe",
					  "fetch",   "peek",	 "vouch",  "vouch-digest",
					  "usher",   "successor" };
_Static_assert(ARRAY_LEN(role_names) == CHILD_ROLE_COUNT, "a name each");

const char *child_role_name(enum child_role role)
{
	return role_names[role];
}

struct spawner_state {
	int signal_fd;
	int program[CHILD_ROLE_COUNT];
	bool ending;
	size_t n;
	struct {
		pid_t pid;
		enum child_role role;
	} child[CHILDREN_MAX];
};

/* ---- becoming a child ----------------------------------------------------------------------- */

static void place_fd(int from, int to)
{
	if (from < 0 || dup2(from, to) < 0)
		_exit(127);
}

/* Of what is executed, by its descriptor: its path may lead to another by now. */
_Noreturn static void execute(int program, enum child_role role)
{
	char title[32];
	char *const argv[] = { title, (char *)CHILD_OPTION, (char *)role_names[role],
			       (char *)ASSAY_VERSION, NULL };

	snprintf(title, sizeof(title), "assayd: %s", role_names[role]);
	execveat(program, "", argv, environ, AT_EMPTY_PATH);
	_exit(127);
}

static void place_all(int socket, const int *fds, size_t n_fds)
{
	int high[1 + CHILD_ROLE_COUNT];
	sigset_t none;

	/* Out of the way first: one may stand where another has to go. */
	high[0] = fcntl(socket, F_DUPFD_CLOEXEC, CLEAR_OF);
	for (size_t i = 0; i < n_fds; i++)
		high[i + 1] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, CLEAR_OF);
	/* Whoever started us may have left some open. */
	if (close_range(CHILD_SOCKET, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		_exit(127);
	place_fd(high[0], CHILD_SOCKET);
	for (size_t i = 0; i < n_fds; i++)
		if (fds[i] >= 0)
			place_fd(high[i + 1], CHILD_FDS + (int)i);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void child_exec(enum child_role role, int program, int socket, const int *fds, size_t n_fds)
{
	if (program < 0)
		program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	program = fcntl(program, F_DUPFD_CLOEXEC, CLEAR_OF);
	place_all(socket, fds, n_fds);
	execute(program, role);
}

/* The path, and what follows it. */
static const char *read_args(int fd, char *argv[SUCCESSOR_ARGS_MAX + 1])
{
	static char text[SUCCESSOR_TEXT_MAX];
	ssize_t len = pread(fd, text, sizeof(text), 0);
	size_t n = 0;

	if (len <= 0 || text[len - 1] != '\0')
		_exit(127);
	for (char *at = text + strlen(text) + 1; at < text + len; at += strlen(at) + 1) {
		if (n == SUCCESSOR_ARGS_MAX)
			_exit(127);
		argv[n++] = at;
	}
	argv[n] = NULL;
	return text;
}

/* As a service manager would start it, but for its socket. */
static _Noreturn void successor_exec(int socket, int args)
{
	static const int signals[] = { SIGINT, SIGHUP, SIGTERM, SIGPIPE, SIGXFSZ };
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	char *argv[SUCCESSOR_ARGS_MAX + 1];
	const char *path = read_args(args, argv);

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &by_default, NULL);
	place_all(socket, NULL, 0);
	execv(path, argv);
	_exit(127);
}

static int find_role(const char *name)
{
	for (int i = 0; i < CHILD_ROLE_COUNT; i++)
		if (strcmp(role_names[i], name) == 0)
			return i;
	return -1;
}

/* For who looks at lists of processes: it was executed without a name. */
static void name_process(const char *role)
{
	char name[16];

	snprintf(name, sizeof(name), "assayd-%s", role);
	prctl(PR_SET_NAME, name);
}

void child_main(int argc, char **argv, const child_fn roles[CHILD_ROLE_COUNT])
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	int role;

	if (argc != 4 || strcmp(argv[1], CHILD_OPTION) != 0)
		return;
	memory_spare();
	name_process(argv[2]);
	role = find_role(argv[2]);
	if (role >= 0 && strcmp(argv[3], ASSAY_VERSION) != 0) {
		log_line(LOG_ERR,
			 "%s is of version " ASSAY_VERSION ", assayd of %s: start it again",
			 role_names[role], argv[3]);
		exit(127);
	}
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	/* What is sent to all processes of a terminal or a unit is for main: the others end when it
	 * has. */
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGTERM, &ignore, NULL);
	if (role == CHILD_SPAWNER && !roles[role])
		exit(spawner_process());
	exit(role >= 0 && roles[role] ? roles[role]() : 127);
}

int child_program(int argc, char **argv, const child_fn roles[CHILD_ROLE_COUNT])
{
	child_main(argc, argv, roles);
	fputs("this is a part of assayd, which starts it: see assayd(8)\n", stderr);
	return 2;
}

/* ---- children ------------------------------------------------------------------------------- */

/* One that looks at processes is killed when it hangs, which users can bring about: main tells. */
static void tell_end(enum child_role role, pid_t pid, int status)
{
	bool looks = role == CHILD_WALKER || role == CHILD_PEEK || role == CHILD_VOUCH ||
		     role == CHILD_VOUCH_DIGEST || role == CHILD_USHER;

	if (looks && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	if (WIFSIGNALED(status))
		log_line(LOG_WARNING, "%s (process %d) was ended by signal %d", role_names[role],
			 (int)pid, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_line(LOG_WARNING, "%s (process %d) ended with status %d", role_names[role],
			 (int)pid, WEXITSTATUS(status));
}

static void reap(struct spawner_state *s)
{
	struct signalfd_siginfo unused;
	int status;
	pid_t pid;

	while (read(s->signal_fd, &unused, sizeof(unused)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < s->n; i++)
			if (s->child[i].pid == pid) {
				if (!s->ending)
					tell_end(s->child[i].role, pid, status);
				s->child[i] = s->child[--s->n];
				break;
			}
}

/* One that waits for a server which never answers does not end before that does: it is left. */
static void kill_all(struct spawner_state *s)
{
	struct pollfd p = { .fd = s->signal_fd, .events = POLLIN };

	s->ending = true;
	/* None is waited for yet, so no number can be another's. */
	for (size_t i = 0; i < s->n; i++)
		kill(s->child[i].pid, SIGKILL);
	for (int step = 0; s->n > 0 && step < END_STEPS; step++) {
		reap(s);
		if (s->n > 0)
			poll(&p, 1, END_STEP_MS);
	}
	if (s->n > 0)
		log_line(LOG_WARNING, "%zu processes that wait for a filesystem cannot be ended",
			 s->n);
}

static int reply(enum spawner_message type, uint64_t id, int fd)
{
	struct ipc_message m = { .type = type, .id = id, .n_fds = fd >= 0 };

	m.fd[0] = fd;
	return ipc_send(CHILD_SOCKET, &m);
}

/* In the child: until main has seen it. */
static void wait_for_leave(int fd)
{
	char go;

	if (read(fd, &go, 1) != 1)
		_exit(127);
}

/* main's word about the child that waits on @gate. */
static int pass_leave(int gate)
{
	struct ipc_buffer buffer;
	struct ipc_message m;
	int r = ipc_receive(CHILD_SOCKET, &buffer, &m);

	if (r < 0)
		return r;
	ipc_close_fds(&m);
	if (m.type == SPAWNER_GO && write(gate, "", 1) < 0)
		return -errno;
	return 0;
}

/* A child of init: whoever starts it does not wait for it, and ends before it does. */
static pid_t fork_twice(void)
{
	pid_t first, pid = -1;
	int told[2];

	if (pipe2(told, O_CLOEXEC) < 0)
		return -1;
	first = fork();
	if (first == 0) {
		pid = fork();
		if (pid == 0)
			return 0;
		_exit(write(told[1], &pid, sizeof(pid)) != sizeof(pid));
	}
	close(told[1]);
	if (first < 0 || read(told[0], &pid, sizeof(pid)) != sizeof(pid))
		pid = -1;
	close(told[0]);
	while (first > 0 && waitpid(first, NULL, 0) < 0 && errno == EINTR)
		;
	return pid;
}

static pid_t fork_successor(const struct ipc_message *m, const int gate[2])
{
	pid_t pid = fork_twice();

	if (pid != 0)
		return pid;
	close(gate[1]);
	wait_for_leave(gate[0]);
	successor_exec(m->fd[0], m->fd[1]);
}

static pid_t fork_child(const struct spawner_state *s, const struct ipc_message *m,
			const int gate[2])
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	close(gate[1]); /* or its end would never be seen */
	wait_for_leave(gate[0]);
	child_exec((enum child_role)m->id, s->program[m->id], m->fd[0], m->fd + 1, m->n_fds - 1);
}

static int start_child(struct spawner_state *s, const struct ipc_message *m)
{
	int gate[2], pidfd, r;
	pid_t pid;

	if (m->n_fds == 0 || m->id == CHILD_SPAWNER || m->id >= CHILD_ROLE_COUNT ||
	    (m->id == CHILD_SUCCESSOR && m->n_fds != 2))
		return reply(SPAWNER_FAILED, EINVAL, -1);
	if (s->n == CHILDREN_MAX)
		return reply(SPAWNER_FAILED, EAGAIN, -1);
	if (pipe2(gate, O_CLOEXEC) < 0)
		return reply(SPAWNER_FAILED, (uint64_t)errno, -1);
	pid = m->id == CHILD_SUCCESSOR ? fork_successor(m, gate) : fork_child(s, m, gate);
	pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		r = reply(SPAWNER_FAILED, (uint64_t)errno, -1);
	} else {
		if (m->id != CHILD_SUCCESSOR) {
			s->child[s->n].pid = pid;
			s->child[s->n++].role = (enum child_role)m->id;
		}
		r = reply(SPAWNER_FORKED, (uint64_t)pid, pidfd);
		if (r == 0)
			r = pass_leave(gate[1]);
		close(pidfd);
	}
	close(gate[0]);
	close(gate[1]);
	return r;
}

static int serve(struct spawner_state *s)
{
	static struct ipc_buffer buffer;
	struct ipc_message m;
	int r = ipc_receive(CHILD_SOCKET, &buffer, &m);

	if (r < 0)
		return r;
	r = m.type == SPAWNER_START ? start_child(s, &m) : -EBADMSG;
	ipc_close_fds(&m);
	return r;
}

/* To where no child's go. */
static void take_programs(int ret[CHILD_ROLE_COUNT])
{
	for (int i = 0; i < CHILD_ROLE_COUNT; i++) {
		ret[i] = fcntl(CHILD_FDS + i, F_DUPFD_CLOEXEC, CLEAR_OF);
		close(CHILD_FDS + i);
	}
}

int spawner_process(void)
{
	static struct spawner_state s;
	struct pollfd p[] = { { .fd = CHILD_SOCKET, .events = POLLIN }, { .events = POLLIN } };
	sigset_t set;

	take_programs(s.program);
	fcntl(CHILD_SOCKET, F_SETFD, FD_CLOEXEC);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s.signal_fd = p[1].fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signal_fd < 0)
		return 1;
	for (;;) {
		if (poll(p, ARRAY_LEN(p), -1) < 0)
			continue;
		if (p[1].revents)
			reap(&s);
		if (p[0].revents && serve(&s) < 0)
			break;
	}
	kill_all(&s);
	return 0;
}
