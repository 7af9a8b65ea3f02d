/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main's side: one request at a time, each answered. The other side is spawner_process.c. */
#include "programs/assayd/spawner.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs/assayd/ipc.h"
#include "programs/assayd/spawner_process.h"

struct spawner {
	pid_t pid;
	int socket;
};

int spawner_new(struct spawner **ret, struct assay_err *err)
{
	struct spawner *s = calloc(1, sizeof(*s));
	int pair[2], r = s ? ipc_pair(pair) : -ENOMEM;

	if (r < 0)
		goto fail;
	s->socket = pair[0];
	s->pid = fork();
	if (s->pid == 0)
		child_exec(CHILD_SPAWNER, pair[1], NULL, 0);
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
	free(s);
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
	r = request_child(s, role, pair[1], fds, n_fds);
	close(pair[1]);
	if (r == 0)
		r = receive_child(s, &c);
	if (r == 0) {
		r = admit ? admit(ctx, c.pid, c.pidfd) : 0;
		sent = give_leave(s, r == 0);
		r = r < 0 ? r : sent;
	}
	if (r == 0) {
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
