/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A software TPM for one test: its sockets are made here and handed over listening, so there is
 * nothing to wait for; it dies with the test, whatever happens.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct swtpm {
	char dir[64], tcti[128];
	int data_fd, ctrl_fd; /* listening; kept, so that a stopped TPM leaves a queue */
	pid_t pid;
};

static inline int swtpm_listen(const char *dir, const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", dir, name);
	unlink(at.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0)
		return -1;
	return fd;
}

/* Starts (again) over the state in t->dir. False: cannot. */
static inline bool swtpm_start(struct swtpm *t)
{
	char state[80], data[64], ctrl[64];
	int null;

	t->data_fd = swtpm_listen(t->dir, "sock");
	t->ctrl_fd = swtpm_listen(t->dir, "sock.ctrl");
	snprintf(state, sizeof(state), "dir=%s", t->dir);
	snprintf(data, sizeof(data), "type=unixio,fd=%d", t->data_fd);
	snprintf(ctrl, sizeof(ctrl), "type=unixio,fd=%d", t->ctrl_fd);
	t->pid = fork();
	if (t->pid != 0)
		return t->pid > 0 && t->data_fd >= 0 && t->ctrl_fd >= 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	null = open("/dev/null", O_RDWR);
	dup2(null, 1);
	dup2(null, 2);
	execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", data,
	       "--ctrl", ctrl, "--flags", "not-need-init,startup-clear", NULL);
	_exit(127);
}

/* As if the power went: nothing is shut down in order. */
static inline void swtpm_kill(struct swtpm *t)
{
	if (t->pid > 0) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, NULL, 0);
	}
	close(t->data_fd);
	close(t->ctrl_fd);
	t->pid = -1;
}

static inline bool swtpm_new(struct swtpm *t)
{
	snprintf(t->dir, sizeof(t->dir), "/tmp/assay-swtpm.XXXXXX");
	if (!mkdtemp(t->dir))
		return false;
	snprintf(t->tcti, sizeof(t->tcti), "swtpm:path=%s/sock", t->dir);
	return swtpm_start(t);
}

static inline void swtpm_free(struct swtpm *t)
{
	char command[128];

	swtpm_kill(t);
	snprintf(command, sizeof(command), "rm -rf %s", t->dir);
	if (system(command) != 0)
		perror(command);
}

/* Whether there is one on this machine; a test that needs it exits 77 otherwise. */
static inline bool swtpm_installed(void)
{
	return system("command -v swtpm >/dev/null") == 0;
}
