/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays main for the view's process, which is this program executed again:
 *   view_serve FOLDER LIST POLICY
 * serves FOLDER/ima, with the newest segment in the folder LIST and the rules in the file POLICY,
 * until it is ended. Prints "ready PID MAJOR:MINOR", and a line for each load. A policy that is
 * loaded is written to POLICY; one with a rule for uid=666 is refused. SIGHUP: there is a new
 * segment.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/list_file/reader.h"
#include "base/file.h"
#include "formats/policy.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/view/view.h"

struct serve {
	struct child view;
	int list_dirfd;
	const char *policy;
};

static int send_fd(const struct serve *s, enum view_message type, int fd)
{
	struct ipc_message m = { .type = type, .fd = { fd }, .n_fds = 1 };
	int r = fd < 0 ? fd : ipc_send(s->view.socket, &m);

	if (fd >= 0)
		close(fd);
	return r;
}

static int send_segment(const struct serve *s)
{
	int fd = -1;

	return assay_list_reader_newest(s->list_dirfd, &fd, NULL) == -ENOENT
		       ? 0
		       : send_fd(s, VIEW_SEGMENT, fd);
}

static int send_policy(const struct serve *s)
{
	AUTO(file) struct assay_file file = { 0 };
	int r = assay_file_read(AT_FDCWD, s->policy, ASSAY_POLICY_SIZE_MAX, &file, NULL);

	return r < 0 ? r : send_fd(s, VIEW_POLICY, ipc_sealed(file.bytes));
}

/* As main will: what is no policy changes nothing. */
static int load(const struct serve *s, const char *path)
{
	AUTO(file) struct assay_file file = { 0 };
	struct assay_policy_text policy;
	struct assay_arena arena;
	struct assay_err err = { .text = "" };
	void *memory = NULL;
	int r = assay_file_read(AT_FDCWD, path, ASSAY_POLICY_SIZE_MAX, &file, &err);

	if (r == 0) {
		memory = malloc(assay_policy_arena_size(file.bytes));
		assay_arena_init(&arena, memory, assay_policy_arena_size(file.bytes));
		r = assay_policy_parse(file.bytes, NULL, &arena, &policy, &err);
	}
	for (uint32_t i = 0; r == 0 && i < policy.n_rules; i++)
		if (policy.rules[i].uid.id == 666)
			r = -EPERM;
	free(memory);
	if (r == 0)
		r = assay_file_replace(AT_FDCWD, s->policy, 0600, file.bytes, &err);
	printf("load %s: %d %s\n", path, r, err.text);
	return r == 0 ? send_policy(s) : r;
}

static int on_message(const struct serve *s)
{
	static struct ipc_buffer buffer;
	struct ipc_message m, answer = { .type = VIEW_LOADED };
	char path[4096];
	uint32_t error;
	int r = ipc_receive(s->view.socket, &buffer, &m);

	if (r < 0)
		return r;
	if (m.type == VIEW_READY) {
		uint32_t dev[2] = { 0 };

		memcpy(dev, m.body.data, m.body.len == 8 ? 8 : 0);
		printf("ready %d %u:%u\n", (int)s->view.pid, dev[0], dev[1]);
		return 0;
	}
	if (m.type == VIEW_LOAD_PATH)
		snprintf(path, sizeof(path), "%.*s", (int)m.body.len, (const char *)m.body.data);
	else
		snprintf(path, sizeof(path), "/proc/self/fd/%d", m.fd[0]);
	error = (uint32_t)-load(s, path);
	ipc_close_fds(&m);
	answer.id = m.id;
	answer.body = assay_bytes(&error, sizeof(error));
	return ipc_send(s->view.socket, &answer);
}

static int loop(const struct serve *s)
{
	struct pollfd p[] = { { .fd = s->view.socket, .events = POLLIN }, { .events = POLLIN } };
	struct signalfd_siginfo info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p[1].fd = signalfd(-1, &set, SFD_CLOEXEC);
	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents && on_message(s) < 0)
			return 1; /* the view is gone */
		if (!p[1].revents || read(p[1].fd, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo == SIGTERM)
			return 0;
		printf("segment: %d\n", send_segment(s));
	}
}

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_VIEW] = view_process };
	struct ipc_message standard = { .type = VIEW_TEMPLATE, .body = assay_bytes_str("ima-ng") };
	struct spawner *spawner;
	struct assay_err err;
	struct serve s;
	int fds[2], status;

	child_main(argc, argv, roles);
	if (argc != 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	s.policy = argv[3];
	if (spawner_new(NULL, &spawner, &err) < 0) {
		fprintf(stderr, "view_serve: %s\n", err.text);
		return 2;
	}
	fds[0] = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	fds[1] = (int)syscall(SYS_pidfd_open, getpid(), 0);
	s.list_dirfd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spawner_start(spawner, CHILD_VIEW, fds, 2, NULL, NULL, &s.view, &err) < 0) {
		fprintf(stderr, "view_serve: %s\n", err.text);
		return 2;
	}
	if (ipc_send(s.view.socket, &standard) < 0 || send_segment(&s) < 0 || send_policy(&s) < 0)
		return 2;
	status = loop(&s);
	/* The view unmounts before it ends. */
	close(s.view.socket);
	poll(&(struct pollfd){ .fd = s.view.pidfd, .events = POLLIN }, 1, 5000);
	spawner_free(spawner);
	return status;
}
