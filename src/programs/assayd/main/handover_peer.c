/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/handover_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "programs/assayd/main/notify.h"
#include "programs/assayd/main/successor_args.h"
#include "programs/assayd/process/log.h"

#define PREPARE_MS 30000
#define DEATH_MS   5000

/* ---- the new one ---------------------------------------------------------------------------- */

static int exempt(struct handover *h, pid_t pid)
{
	int r = h->n_exempt < HANDOVER_EXEMPT_MAX ? 0 : -E2BIG;

	if (r == 0)
		r = assay_fanotify_exempt(h->r->daemon->group, pid, NULL);
	if (r == 0)
		h->exempt[h->n_exempt++] = pid;
	return r;
}

static int admit(void *ctx, pid_t pid, int pidfd)
{
	(void)pidfd;
	return exempt(ctx, pid);
}

int handover_say(struct handover *h, enum handover_type type, uint64_t id)
{
	return ipc_send(h->child.socket, &(struct ipc_message){ .type = type, .id = id });
}

int handover_begin(struct handover *h, struct assay_err *err)
{
	const struct timeval patience = { .tv_sec = HANDOVER_TAKE_MS / 1000 };
	uint8_t *text = malloc(SUCCESSOR_TEXT_MAX);
	struct assay_wr w = assay_wr(text, SUCCESSOR_TEXT_MAX);
	AUTO(fd) int args = -1;
	struct child c;
	int r = text ? successor_args(&w) : -ENOMEM;

	if (r == 0)
		args = r = ipc_sealed(assay_wr_done(&w));
	if (r >= 0)
		log_line(LOG_NOTICE, "'%s' is started, and is to take over", (const char *)text);
	free(text);
	if (r < 0)
		return assay_err_set(err, r, "cannot say how to start it: %s", strerror(-r));
	h->floor = 0;
	h->due_ns = assay_clock_ns() + PREPARE_MS * 1000000ull;
	r = spawner_start(h->r->daemon->spawner, CHILD_SUCCESSOR, &args, 1, admit, h, &c, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&h->lock);
	h->child = c;
	pthread_mutex_unlock(&h->lock);
	(void)setsockopt(c.socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if ((r = handover_say(h, HANDOVER_OFFER, HANDOVER_VERSION)) < 0)
		assay_err_set(err, r, "the new one ended at once");
	return r;
}

/* Dead on return, or as good as that. */
void handover_end_child(struct handover *h)
{
	struct pollfd p = { .fd = h->child.pidfd, .events = POLLIN };

	if (h->child.pidfd >= 0) {
		child_kill(&h->child);
		poll(&p, 1, DEATH_MS);
	}
	pthread_mutex_lock(&h->lock);
	child_close(&h->child);
	pthread_mutex_unlock(&h->lock);
	while (h->n_exempt > 0)
		assay_fanotify_unexempt(h->r->daemon->group, h->exempt[--h->n_exempt]);
}

/* ---- what it says --------------------------------------------------------------------------- */

static int take_failed(struct assay_bytes body, struct assay_err *err)
{
	char text[HANDOVER_REASON_MAX + 1];
	size_t n = body.len < HANDOVER_REASON_MAX ? body.len : HANDOVER_REASON_MAX;

	memcpy(text, body.data, n);
	text[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	return assay_err_set(err, -ECANCELED, "the new one says: %s", text);
}

static int take_hello(struct handover *h, const struct ipc_message *m, struct assay_err *err)
{
	if (m->id != HANDOVER_VERSION || h->floor || handover_floor_decode(m->body, &h->floor) < 0)
		return assay_err_set(err, -EBADMSG, "the new one does not say hello as it should");
	return 0;
}

/* The next message: its type, or -errno with @err. What it may say at any time is done here. */
int handover_hear(struct handover *h, struct assay_err *err)
{
	struct ipc_message m;
	int r = ipc_receive(h->child.socket, &h->in, &m), is;

	if (r == -EPIPE)
		return assay_err_set(err, r, "the new one ended");
	if (r < 0)
		return assay_err_set(err, r, "the new one says what it may not");
	ipc_close_fds(&m);
	is = (int)m.type;
	switch (m.type) {
	case HANDOVER_HELLO:
		r = take_hello(h, &m, err);
		break;
	case HANDOVER_FAILED:
		r = take_failed(m.body, err);
		break;
	case HANDOVER_EXEMPT:
		r = m.id > 0 && m.id <= INT32_MAX ? exempt(h, (pid_t)m.id) : -EINVAL;
		r = handover_say(h, HANDOVER_DONE, (uint64_t)-r);
		if (r < 0)
			assay_err_set(err, r, "the new one ended");
		break;
	case HANDOVER_READY:
	case HANDOVER_ANCHORED:
	case HANDOVER_TAKEN:
		if (!h->floor)
			r = assay_err_set(err, -EBADMSG, "the new one says no hello");
		break;
	default:
		r = assay_err_set(err, -EBADMSG, "the new one says what it may not");
	}
	return r < 0 ? r : is;
}

/* Until it has said @type. What it has said in time is heard, whenever we come to it. */
int handover_await(struct handover *h, enum handover_type type, int timeout_ms,
		   struct assay_err *err)
{
	uint64_t end = assay_clock_ns() + (uint64_t)timeout_ms * 1000000u, now;
	struct pollfd p = { .fd = h->child.socket, .events = POLLIN };
	int r = 0, slice;

	for (;;) {
		now = assay_clock_ns();
		slice = now < end ? (int)((end - now) / 1000000u) + 1 : 0;
		notify_manager("WATCHDOG=1");
		if (poll(&p, 1, slice < 1000 ? slice : 1000) == 1)
			r = handover_hear(h, err);
		else if (now >= end)
			return assay_err_set(err, -ETIMEDOUT, "the new one took too long");
		if (r < 0 || r == (int)type)
			return r < 0 ? r : 0;
		if (r == HANDOVER_READY || r == HANDOVER_ANCHORED || r == HANDOVER_TAKEN)
			return assay_err_set(err, -EBADMSG, "the new one is out of step");
		r = 0;
	}
}
