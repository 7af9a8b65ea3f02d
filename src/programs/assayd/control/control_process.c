/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One loop over all sockets: first what main and the anchor say, then root, then everybody else, of
 * whom no more is taken in one turn than keeps root waiting for a moment. Of main's answers it
 * reads nothing: they go to the client as they are.
 */
#include "programs/assayd/control/control_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "programs/assayd/control/control_clients.h"
#include "programs/assayd/control/control_ipc.h"
#include "programs/assayd/control/control_sandbox.h"
#include "programs/assayd/control/control_tpm.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/spawner.h"

#define PUBLIC_AGE_MS	1000 /* main is asked no oftener, whoever asks us how often */
#define ACCEPT_MAX	16u  /* in one turn */
#define ACCEPT_PAUSE_MS 10   /* of the public socket, after so many */

enum { END_ASKED, END_TROUBLE = 2 };
enum { SLOT_MAIN, SLOT_LINE, SLOT_ROOT, SLOT_PUBLIC, SLOT_CLIENTS };

struct server {
	struct clients clients;
	struct control_tpm tpm;
	int listener[2]; /* root's, and the public one, which may be -1 */
	/* What everybody gets. */
	char public_text[CONTROL_MESSAGE_MAX];
	size_t public_len;
	uint64_t public_ms; /* when it came */
	bool public_asked;
	uint64_t accept_again_ms; /* the public socket */
	struct ipc_buffer in;
};

/* ---- questions ------------------------------------------------------------------------------ */

/* What main does not take now it will not miss. */
static void ask_main(struct client *c, enum control_ipc type, uint64_t after)
{
	const struct control_ask ask = { .type = type, .id = c->id, .after = after };

	c->state = CLIENT_OF_MAIN;
	if (control_ask_send(CHILD_SOCKET, &ask) < 0)
		client_fail(c, -EBUSY, "assayd is busy", assay_clock_ms());
}

static void ask_tpm(struct client *c, const struct control_request *request)
{
	c->request = malloc(sizeof(*request));
	if (!c->request) {
		client_fail(c, -ENOMEM, "out of memory", assay_clock_ms());
		return;
	}
	*c->request = *request;
	c->state = CLIENT_OF_TPM;
}

static void ask_public(struct server *s, struct client *c)
{
	const struct control_ask ask = { .type = CONTROL_IPC_STATUS, .public = true };
	uint64_t now = assay_clock_ms();

	if (s->public_len && now - s->public_ms < PUBLIC_AGE_MS) {
		client_reply(c, s->public_text, s->public_len, now);
		return;
	}
	c->state = CLIENT_OF_ALL;
	if (!s->public_asked && control_ask_send(CHILD_SOCKET, &ask) == 0)
		s->public_asked = true;
	if (!s->public_asked)
		client_fail(c, -EBUSY, "assayd is busy", now);
}

static void dispatch(struct server *s, struct client *c, const struct control_request *request)
{
	if (c->public && request->op == CONTROL_STATUS)
		ask_public(s, c);
	else if (c->public)
		client_fail(c, -EPERM, "only root may ask that, over another socket",
			    assay_clock_ms());
	else if (request->op == CONTROL_STATUS)
		ask_main(c, CONTROL_IPC_STATUS, 0);
	else if (request->op == CONTROL_AUDIT)
		ask_main(c, CONTROL_IPC_AUDIT, request->after);
	else if (request->op == CONTROL_RELOAD)
		ask_main(c, CONTROL_IPC_RELOAD, 0);
	else if (request->op == CONTROL_UPGRADE)
		ask_main(c, CONTROL_IPC_UPGRADE, 0);
	else
		ask_tpm(c, request);
}

static void serve_client(struct server *s, struct client *c, short events)
{
	static struct control_request request; /* several KiB */

	if (events & (POLLHUP | POLLERR) && !(events & POLLIN))
		client_end(c);
	else if (c->state == CLIENT_READS)
		client_write(c, assay_clock_ms());
	else if (c->state == CLIENT_ASKS && client_read(&s->clients, c, &request, assay_clock_ms()))
		dispatch(s, c, &request);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void answer_all(struct server *s, struct assay_bytes text)
{
	uint64_t now = assay_clock_ms();

	memcpy(s->public_text, text.data, text.len);
	s->public_len = text.len;
	s->public_ms = now;
	s->public_asked = false;
	for (uint32_t i = CLIENTS_ROOT; i < CLIENTS_MAX; i++)
		if (s->clients.c[i].state == CLIENT_OF_ALL)
			client_reply(&s->clients.c[i], s->public_text, text.len, now);
}

static int take_answer(struct server *s)
{
	AUTO(file) struct assay_file text = { 0 };
	struct ipc_message m;
	struct client *c;
	int r = ipc_receive(CHILD_SOCKET, &s->in, &m);

	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	if (m.type != CONTROL_IPC_TEXT || m.body.len || m.n_fds != 1)
		r = -EBADMSG;
	if (r == 0)
		r = ipc_read_sealed(m.fd[0], CONTROL_MESSAGE_MAX, &text);
	ipc_close_fds(&m);
	if (r < 0 || text.bytes.len == 0)
		return r < 0 ? r : -EBADMSG;
	c = m.id ? clients_find(&s->clients, m.id, CLIENT_OF_MAIN) : NULL;
	if (c)
		client_reply(c, (const char *)text.bytes.data, text.bytes.len, assay_clock_ms());
	else if (m.id == 0)
		answer_all(s, text.bytes);
	return 0;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void accept_all(struct server *s, const struct pollfd *p)
{
	uint64_t now = assay_clock_ms();

	if (p[SLOT_ROOT].revents)
		clients_accept(&s->clients, s->listener[0], false, ACCEPT_MAX, now);
	if (p[SLOT_PUBLIC].revents &&
	    clients_accept(&s->clients, s->listener[1], true, ACCEPT_MAX, now) == ACCEPT_MAX)
		s->accept_again_ms = now + ACCEPT_PAUSE_MS;
}

static int fill(struct server *s, struct pollfd *p)
{
	uint64_t now = assay_clock_ms();
	int wait = clients_expire(&s->clients, now);
	bool pause = now < s->accept_again_ms;

	p[SLOT_MAIN] = (struct pollfd){ .fd = CHILD_SOCKET, .events = POLLIN };
	p[SLOT_LINE] = (struct pollfd){ .fd = s->tpm.line, .events = POLLIN };
	p[SLOT_ROOT] = (struct pollfd){ .fd = s->listener[0], .events = POLLIN };
	p[SLOT_PUBLIC] = (struct pollfd){ .fd = pause ? -1 : s->listener[1], .events = POLLIN };
	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &s->clients.c[i];

		p[SLOT_CLIENTS + i] = (struct pollfd){ .fd = c->fd };
		if (c->state == CLIENT_ASKS)
			p[SLOT_CLIENTS + i].events = POLLIN;
		if (c->state == CLIENT_READS)
			p[SLOT_CLIENTS + i].events = POLLOUT;
	}
	if (pause && (wait < 0 || wait > ACCEPT_PAUSE_MS))
		wait = ACCEPT_PAUSE_MS;
	return wait;
}

/* Until main's end is closed, or somebody says what he may not. */
static int serve(struct server *s)
{
	static struct pollfd p[SLOT_CLIENTS + CLIENTS_MAX];
	int r = 0;

	while (r == 0) {
		int n = poll(p, ARRAY_LEN(p), fill(s, p));

		if (n <= 0)
			continue;
		if (p[SLOT_MAIN].revents)
			r = take_answer(s);
		if (r == 0 && p[SLOT_LINE].revents)
			r = control_tpm_receive(&s->tpm, assay_clock_ms());
		for (uint32_t i = 0; r == 0 && i < CLIENTS_MAX; i++)
			if (p[SLOT_CLIENTS + i].revents && s->clients.c[i].fd >= 0)
				serve_client(s, &s->clients.c[i], p[SLOT_CLIENTS + i].revents);
		if (r == 0)
			r = control_tpm_begin(&s->tpm, assay_clock_ms());
		accept_all(s, p);
	}
	return r;
}

/* ---- start ---------------------------------------------------------------------------------- */

static int take_start(struct server *s)
{
	struct ipc_message m;
	int r = ipc_receive(CHILD_SOCKET, &s->in, &m);

	if (r < 0)
		return r;
	if (m.type != CONTROL_IPC_START || m.body.len || m.n_fds < CONTROL_START_PUBLIC ||
	    m.n_fds > CONTROL_START_FDS) {
		ipc_close_fds(&m);
		return -EBADMSG;
	}
	s->listener[0] = m.fd[CONTROL_START_ROOT];
	s->listener[1] = m.n_fds == CONTROL_START_FDS ? m.fd[CONTROL_START_PUBLIC] : -1;
	s->tpm.line = m.fd[CONTROL_START_LINE];
	fcntl(CHILD_SOCKET, F_SETFL, O_NONBLOCK);
	return 0;
}

/* Without the ways that exit() takes: there is nothing to be done. */
int control_process(void)
{
	static struct server s;
	struct assay_err err = { 0 };
	int r = control_sandbox_enter(NULL, &err);

	if (r < 0) {
		log_line(LOG_ERR, "control: %s", err.text);
		_exit(END_TROUBLE);
	}
	clients_init(&s.clients);
	s.tpm.clients = &s.clients;
	r = take_start(&s);
	if (r == 0)
		r = serve(&s);
	_exit(r == -EPIPE ? END_ASKED : END_TROUBLE);
}
