/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "programs/assayd/audit_reply.h"
#include "programs/assayd/log.h"
#include "programs/assayd/status.h"
#include "programs/common/control_msg.h"

#define CLIENT_TIMEOUT_MS 5000 /* of a client that says nothing; others wait as long */
#define FLUSH_TIMEOUT_MS  30000
#define QUOTE_TRIES	  8

struct control {
	struct daemon *daemon;
	int fd, stop_fd;
	pthread_t thread;
};

/* ---- requests ------------------------------------------------------------------------------- */

struct pcr_values {
	struct assay_pcr_value values[ASSAY_PCRS];
	struct assay_banks banks;
	struct assay_tpm_clock clock;
};

/* No more than are asked for: a TPM gives a few at a time, and they may not move meanwhile. */
static int read_pcrs(struct daemon *d, const struct control_request *request,
		     struct pcr_values *ret, struct assay_err *err)
{
	memset(ret, 0, sizeof(*ret));
	return anchor_read_pcrs(d->anchor, control_pcr_mask(&request->selection), ret->values,
				&ret->banks, &ret->clock, err);
}

static int reply_pcrs(struct daemon *d, const struct control_request *request, json_t **ret,
		      struct assay_err *err)
{
	struct assay_quote_pcrs pcrs;
	struct pcr_values got;
	int r = read_pcrs(d, request, &got, err);

	if (r == 0)
		r = control_pick(&request->selection, &got.banks, got.values, &pcrs, err);
	if (r == 0)
		*ret = control_pcrs_pack(&pcrs, &got.clock);
	return r;
}

/* The values that the quote is over: read before and after it until both are the same. */
static int quote_with_pcrs(struct daemon *d, const struct control_request *request,
			   struct assay_quote_reply *quote, struct assay_quote_pcrs *pcrs,
			   struct assay_err *err)
{
	struct assay_quote_request wanted;
	struct assay_quote_pcrs after;
	struct pcr_values got;

	memset(&after, 0, sizeof(after)); /* compared whole */
	for (int i = 0; i < QUOTE_TRIES; i++) {
		int r = read_pcrs(d, request, &got, err);

		if (r == 0)
			r = control_pick(&request->selection, &got.banks, got.values, pcrs, err);
		if (r == 0)
			r = control_quote_request(request, &got.banks, &wanted, err);
		if (r == 0)
			r = anchor_quote(d->anchor, &wanted, quote, err);
		if (r == 0)
			r = read_pcrs(d, request, &got, err);
		if (r == 0)
			r = control_pick(&request->selection, &got.banks, got.values, &after, err);
		if (r < 0 || memcmp(pcrs, &after, sizeof(after)) == 0)
			return r;
	}
	return assay_err_set(err, -EAGAIN, "the PCRs change too fast to be quoted; try again");
}

static int reply_quote(struct daemon *d, const struct control_request *request, json_t **ret,
		       struct assay_err *err)
{
	struct assay_quote_pcrs pcrs;
	struct assay_quote_reply quote;
	int r;

	memset(&pcrs, 0, sizeof(pcrs));
	r = anchor_flush(d->anchor, FLUSH_TIMEOUT_MS);
	if (r < 0)
		return assay_err_set(err, r, "what was measured is not in the TPM yet");
	r = quote_with_pcrs(d, request, &quote, &pcrs, err);
	if (r == 0)
		*ret = control_quote_pack(&quote, &pcrs);
	return r;
}

static json_t *reply(struct daemon *d, const json_t *message)
{
	static struct control_request request; /* one thread; several KiB */
	struct assay_err err = { 0 };
	json_t *answer = NULL;
	int r = control_request_parse(message, &request, &err);

	if (r == 0 && request.op == CONTROL_STATUS)
		answer = status_json(d);
	else if (r == 0 && request.op == CONTROL_PCRS)
		r = reply_pcrs(d, &request, &answer, &err);
	else if (r == 0 && request.op == CONTROL_QUOTE)
		r = reply_quote(d, &request, &answer, &err);
	else if (r == 0 && request.op == CONTROL_AUDIT)
		answer = audit_reply(d->audit, request.after);
	if (r == 0 && !answer)
		r = assay_err_set(&err, -ENOMEM, "out of memory");
	return r < 0 ? control_error_pack(r, err.text) : answer;
}

/* ---- the socket ----------------------------------------------------------------------------- */

static bool is_root(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == 0;
}

static bool is_stopping(const struct control *c)
{
	struct pollfd p = { .fd = c->stop_fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* However busy a client is, and whether it reads its answers or not, we can be asked to stop. */
static void serve(const struct control *c, int fd)
{
	const struct timeval patience = { .tv_sec = CLIENT_TIMEOUT_MS / 1000 };
	json_t *message, *answer;
	int r = setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));

	while (r == 0 && !is_stopping(c) &&
	       control_receive(fd, CLIENT_TIMEOUT_MS, &message, NULL) == 0) {
		answer = reply(c->daemon, message);
		json_decref(message);
		r = answer ? control_send(fd, answer, NULL) : -ENOMEM;
		json_decref(answer);
	}
}

static void *run_control(void *arg)
{
	struct control *c = arg;
	struct pollfd p[] = {
		{ .fd = c->fd, .events = POLLIN },
		{ .fd = c->stop_fd, .events = POLLIN },
	};

	while (poll(p, 2, -1) < 0 || !p[1].revents) {
		AUTO(fd) int client = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);

		if (client >= 0 && is_root(client))
			serve(c, client);
	}
	return NULL;
}

static int listen_at(const char *path, struct assay_err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const char *slash = strrchr(path, '/');
	mode_t mask;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return assay_err_set(err, -ENAMETOOLONG, "control_socket is too long: '%s'", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (slash && slash != path) {
		char folder[sizeof(address.sun_path)];

		memcpy(folder, path, (size_t)(slash - path));
		folder[slash - path] = '\0';
		mkdir(folder, 0755);
	}
	unlink(path);
	mask = umask(0177);
	r = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
			    listen(fd, 8) < 0
		    ? -errno
		    : 0;
	umask(mask);
	if (r < 0)
		return assay_err_set(err, r, "cannot listen at '%s': %s", path, strerror(-r));
	return TAKE_FD(fd);
}

int control_check(const char *path, struct assay_err *err)
{
	AUTO(fd) int fd = -1;

	/* One that is busy is there as well. */
	int r = control_connect(path, CLIENT_TIMEOUT_MS, &fd, NULL);

	if (r < 0 && r != -ETIMEDOUT)
		return 0;
	return assay_err_set(err, -EADDRINUSE, "another assayd answers at '%s'", path);
}

int control_start(struct daemon *d, struct control **ret, struct assay_err *err)
{
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return assay_err_set(err, -ENOMEM, "out of memory");
	c->daemon = d;
	c->stop_fd = eventfd(0, EFD_CLOEXEC);
	c->fd = r = listen_at(d->conf.control_socket, err);
	if (r >= 0 && (r = -pthread_create(&c->thread, NULL, run_control, c)) < 0)
		assay_err_set(err, r, "cannot start a thread: %s", strerror(-r));
	if (r >= 0) {
		*ret = c;
		return 0;
	}
	if (c->fd >= 0)
		close(c->fd);
	close(c->stop_fd);
	free(c);
	return r;
}

void control_stop(struct control *c)
{
	if (!c)
		return;
	eventfd_write(c->stop_fd, 1);
	pthread_join(c->thread, NULL);
	unlink(c->daemon->conf.control_socket);
	close(c->fd);
	close(c->stop_fd);
	free(c);
}
