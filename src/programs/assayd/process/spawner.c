/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main's side: one request at a time, each answered. The other side is spawner_process.c. */
#include "programs/assayd/process/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/programs.h"
#include "programs/assayd/process/spawner_process.h"

struct spawner {
	pid_t pid;
	int socket;
	pthread_mutex_t asking; /* one request at a time */
	/* Who runs, for who asks; a pidfd of our own each. */
	pthread_mutex_t lock;
	size_t n;
	struct {
		struct spawner_child is;
		int pidfd;
	} child[SPAWNER_CHILDREN_MAX];
	uint32_t ended[CHILD_ROLE_COUNT];
};

int spawner_new(const struct programs *programs, struct spawner **ret, struct assay_err *err)
{
	struct spawner *s = calloc(1, sizeof(*s));
	int pair[2], r = s ? ipc_pair(pair) : -ENOMEM;

	if (r < 0)
		goto fail;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->asking, NULL);
	s->socket = pair[0];
	s->pid = fork();
	if (s->pid == 0)
		child_exec(CHILD_SPAWNER, programs ? programs->fd[CHILD_SPAWNER] : -1, pair[1],
			   programs ? programs->fd : NULL, programs ? CHILD_ROLE_COUNT : 0);
	r = s->pid < 0 ? -errno : 0;
	close(pair[1]);
	if (r == 0) {
		*ret = s;
		return 0;
	}
	close(s->socket);
fail:
	free(s);
	return assay_err_set(err, r, "cannot start a process: %s", strerror(-r));
}

void spawner_free(struct spawner *s)
{
	if (!s)
		return;
	close(s->socket); /* its sign to end them all */
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
	while (s->n > 0)
		close(s->child[--s->n].pidfd);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->asking);
	free(s);
}

/* ---- who runs ------------------------------------------------------------------------------- */

static void forget_ended(struct spawner *s)
{
	size_t left = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct pollfd p = { .fd = s->child[i].pidfd, .events = POLLIN };

		if (poll(&p, 1, 0) == 0) {
			s->child[left++] = s->child[i];
			continue;
		}
		s->ended[s->child[i].is.role]++;
		close(s->child[i].pidfd);
	}
	s->n = left;
}

/* One that cannot be kept runs all the same. */
static void note_child(struct spawner *s, enum child_role role, const struct child *c)
{
	int pidfd = fcntl(c->pidfd, F_DUPFD_CLOEXEC, 0);

	pthread_mutex_lock(&s->lock);
	forget_ended(s);
	if (pidfd >= 0 && s->n < SPAWNER_CHILDREN_MAX) {
		s->child[s->n].is = (struct spawner_child){ .role = role, .pid = c->pid };
		s->child[s->n++].pidfd = pidfd;
	} else if (pidfd >= 0) {
		close(pidfd);
	}
	pthread_mutex_unlock(&s->lock);
}

size_t spawner_list(struct spawner *s, struct spawner_child *ret, size_t max,
		    uint32_t ret_ended[CHILD_ROLE_COUNT])
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	forget_ended(s);
	n = s->n < max ? s->n : max;
	for (size_t i = 0; i < n; i++)
		ret[i] = s->child[i].is;
	memcpy(ret_ended, s->ended, sizeof(s->ended));
	pthread_mutex_unlock(&s->lock);
	return n;
}

pid_t spawner_pid(const struct spawner *s)
{
	return s->pid;
}

/* ---- one more ------------------------------------------------------------------------------- */

bool spawner_is_gone(const struct spawner *s)
{
	struct pollfd p = { .fd = s->socket }; /* it says nothing unasked: only its end is seen */

	return poll(&p, 1, 0) == 1;
}

static int request_child(struct spawner *s, enum child_role role, int socket, const int *fds,
			 size_t n_fds)
{
	struct ipc_message m = { .type = SPAWNER_START, .id = role, .n_fds = (uint32_t)n_fds + 1 };

	m.fd[0] = socket;
	for (size_t i = 0; i < n_fds; i++)
		m.fd[i + 1] = fds[i];
	return ipc_send(s->socket, &m);
}

/* A child that waits for leave to execute. */
static int receive_child(struct spawner *s, struct child *ret)
{
	struct ipc_buffer buffer;
	struct ipc_message m;
	int r = ipc_receive(s->socket, &buffer, &m);

	if (r < 0)
		return r;
	if (m.type == SPAWNER_FORKED && m.n_fds == 1) {
		ret->pid = (pid_t)m.id;
		ret->pidfd = m.fd[0];
		return 0;
	}
	ipc_close_fds(&m);
	return m.type == SPAWNER_FAILED ? -(int)m.id : -EBADMSG;
}

static int give_leave(struct spawner *s, bool leave)
{
	return ipc_send(s->socket,
			&(struct ipc_message){ .type = leave ? SPAWNER_GO : SPAWNER_END });
}

int spawner_start(struct spawner *s, enum child_role role, const int *fds, size_t n_fds,
		  int (*admit)(void *ctx, pid_t pid, int pidfd), void *ctx, struct child *ret,
		  struct assay_err *err)
{
	struct child c = { .pidfd = -1, .socket = -1 };
	int pair[2], r = n_fds > CHILD_FDS_MAX ? -E2BIG : ipc_pair(pair), sent;

	if (r < 0)
		return assay_err_set(err, r, "cannot start a process: %s", strerror(-r));
	c.socket = pair[0];
	pthread_mutex_lock(&s->asking);
	r = request_child(s, role, pair[1], fds, n_fds);
	close(pair[1]);
	if (r == 0)
		r = receive_child(s, &c);
	if (r == 0) {
		r = admit ? admit(ctx, c.pid, c.pidfd) : 0;
		sent = give_leave(s, r == 0);
		r = r < 0 ? r : sent;
	}
	pthread_mutex_unlock(&s->asking);
	if (r == 0) {
		note_child(s, role, &c);
		*ret = c;
		return 0;
	}
	child_close(&c);
	return assay_err_set(err, r, "cannot start a process: %s", strerror(-r));
}

void child_kill(const struct child *c)
{
	if (c->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
}

void child_close(struct child *c)
{
	if (c->socket >= 0)
		close(c->socket);
	if (c->pidfd >= 0)
		close(c->pidfd);
	c->socket = c->pidfd = -1;
}
