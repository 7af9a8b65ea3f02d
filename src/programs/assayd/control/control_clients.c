/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/control/control_clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void clients_init(struct clients *all)
{
	memset(all, 0, sizeof(*all));
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		all->c[i].fd = -1;
}

void client_end(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->reply);
	free(c->request);
	*c = (struct client){ .fd = -1 };
}

/* ---- who comes ------------------------------------------------------------------------------ */

static uint32_t count_uid(const struct clients *all, uid_t uid)
{
	uint32_t n = 0;

	for (uint32_t i = CLIENTS_ROOT; i < CLIENTS_MAX; i++)
		n += all->c[i].state != CLIENT_NONE && all->c[i].uid == uid;
	return n;
}

/* A place that is free, or that of who has been silent longest. */
static struct client *find_place(struct clients *all, bool public)
{
	uint32_t from = public ? CLIENTS_ROOT : 0, to = public ? CLIENTS_MAX : CLIENTS_ROOT;
	struct client *silent = NULL;

	for (uint32_t i = from; i < to; i++) {
		struct client *c = &all->c[i];

		if (c->state == CLIENT_NONE)
			return c;
		if (c->state == CLIENT_ASKS && (!silent || c->since_ms < silent->since_ms))
			silent = c;
	}
	if (silent)
		client_end(silent);
	return silent;
}

static void take_in(struct clients *all, int fd, bool public, uint64_t now_ms)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct client *c = NULL;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	    (public ? count_uid(all, peer.uid) < CLIENTS_PER_UID : peer.uid == 0))
		c = find_place(all, public);
	if (!c) {
		close(fd);
		return;
	}
	*c = (struct client){ .state = CLIENT_ASKS,
			      .fd = fd,
			      .public = public,
			      .uid = peer.uid,
			      .since_ms = now_ms };
}

uint32_t clients_accept(struct clients *all, int listener, bool public, uint32_t most,
			uint64_t now_ms)
{
	uint32_t n;

	for (n = 0; n < most; n++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			break;
		take_in(all, fd, public, now_ms);
	}
	return n;
}

int clients_expire(struct clients *all, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &all->c[i];
		uint64_t end = c->since_ms + CLIENT_PATIENCE_MS;

		if (c->state != CLIENT_ASKS && c->state != CLIENT_READS)
			continue;
		if (now_ms >= end)
			client_end(c);
		else if (end < next)
			next = end;
	}
	return next == UINT64_MAX ? -1 : (int)(next - now_ms);
}

/* ---- what he says --------------------------------------------------------------------------- */

bool client_read(struct clients *all, struct client *c, struct control_request *ret,
		 uint64_t now_ms)
{
	char text[CONTROL_REQUEST_MAX];
	ssize_t n = recv(c->fd, text, sizeof(text), MSG_TRUNC | MSG_DONTWAIT);
	struct assay_err err = { 0 };
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		client_end(c);
		return false;
	}
	c->id = ++all->last_id;
	c->since_ms = now_ms;
	r = (size_t)n > sizeof(text)
		    ? assay_err_set(&err, -E2BIG, "a request of more than %d bytes",
				    CONTROL_REQUEST_MAX)
		    : control_request_read(assay_bytes(text, (size_t)n), ret, &err);
	if (r < 0)
		client_fail(c, r, err.text, now_ms);
	return r == 0;
}

/* ---- what he is told ------------------------------------------------------------------------ */

/* On the public socket that is all. */
static void had_answer(struct client *c, uint64_t now_ms)
{
	if (c->public) {
		client_end(c);
		return;
	}
	free(c->reply);
	free(c->request);
	c->reply = NULL;
	c->request = NULL;
	c->state = CLIENT_ASKS;
	c->since_ms = now_ms;
}

/* 1: it is sent; 0: he has to read first. */
static int try_send(const struct client *c, const char *text, size_t len)
{
	ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0)
		return 1;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

void client_write(struct client *c, uint64_t now_ms)
{
	int r = try_send(c, c->reply, c->reply_len);

	if (r < 0)
		client_end(c);
	else if (r > 0)
		had_answer(c, now_ms);
}

void client_reply(struct client *c, const char *text, size_t len, uint64_t now_ms)
{
	int r = try_send(c, text, len);

	if (r > 0) {
		had_answer(c, now_ms);
		return;
	}
	c->reply = r == 0 ? malloc(len) : NULL;
	if (!c->reply) {
		client_end(c);
		return;
	}
	memcpy(c->reply, text, len);
	c->reply_len = len;
	c->state = CLIENT_READS;
	c->since_ms = now_ms;
}

void client_reply_json(struct client *c, json_t *reply, uint64_t now_ms)
{
	static char text[CONTROL_MESSAGE_MAX];
	size_t len = reply ? json_dumpb(reply, text, sizeof(text), JSON_COMPACT) : 0;

	json_decref(reply);
	if (len == 0 || len > sizeof(text))
		client_end(c);
	else
		client_reply(c, text, len, now_ms);
}

void client_fail(struct client *c, int code, const char *text, uint64_t now_ms)
{
	json_t *reply = control_error_pack(code, text);

	/* A text that is cut within a character. */
	client_reply_json(c, reply ? reply : control_error_pack(code, "malformed"), now_ms);
}

/* ---- who waits ------------------------------------------------------------------------------ */

struct client *clients_find(struct clients *all, uint64_t id, enum client_state state)
{
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		if (all->c[i].state == state && all->c[i].id == id)
			return &all->c[i];
	return NULL;
}

struct client *clients_next_of_tpm(struct clients *all)
{
	struct client *next = NULL;

	for (uint32_t i = 0; i < CLIENTS_ROOT; i++)
		if (all->c[i].state == CLIENT_OF_TPM && (!next || all->c[i].id < next->id))
			next = &all->c[i];
	return next;
}
