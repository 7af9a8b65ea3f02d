/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/vouch/vouch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "programs/assayd/process/log.h"

#define DYING_MAX    8u /* killed, and not ended: nobody takes the place of so many */
#define PAUSE_MIN_MS 100u
#define PAUSE_MAX_MS 10000u /* between two tries to start one */
#define COMPLAIN_NS  60000000000ull
#define NS_OF_MS     1000000ull

struct dying {
	int pidfd; /* -1: nobody */
	pid_t about;
};

struct vouch {
	struct vouch_ops ops;
	struct child child; /* socket -1: nobody */
	bool digests;
	bool was_asked;		     /* anything but who listens */
	struct vouch_question asked; /* type 0: nothing */
	uint64_t waited_ns, counted_ns;
	struct dying dying[DYING_MAX];
	uint64_t not_before_ns, complained_ns;
	uint32_t pause_ms;
	struct ipc_buffer buffer;
};

int vouch_new(const struct vouch_ops *ops, struct vouch **ret)
{
	struct vouch *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->ops = *ops;
	v->child = (struct child){ .pidfd = -1, .socket = -1 };
	for (size_t i = 0; i < DYING_MAX; i++)
		v->dying[i].pidfd = -1;
	*ret = v;
	return 0;
}

/* ---- the process ---------------------------------------------------------------------------- */

static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

static struct dying *find_free(struct vouch *v)
{
	struct dying *found = NULL;

	for (size_t i = 0; i < DYING_MAX; i++) {
		struct dying *d = &v->dying[i];

		if (d->pidfd >= 0 && has_ended(d->pidfd)) {
			close(d->pidfd);
			d->pidfd = -1;
		}
		if (d->pidfd < 0)
			found = d;
	}
	return found;
}

/* Each would be one more. */
static bool is_kept(const struct vouch *v, pid_t pid)
{
	for (size_t i = 0; i < DYING_MAX; i++)
		if (v->dying[i].pidfd >= 0 && v->dying[i].about == pid)
			return true;
	return false;
}

/* Nobody is started while there is no room for him here. */
static void end_child(struct vouch *v, pid_t about)
{
	struct dying *d = find_free(v);

	if (v->child.socket < 0)
		return;
	child_kill(&v->child);
	if (v->ops.dismiss)
		v->ops.dismiss(v->ops.ctx, v->child.pid);
	if (d) {
		*d = (struct dying){ .pidfd = v->child.pidfd, .about = about };
		v->child.pidfd = -1;
	}
	child_close(&v->child);
}

void vouch_free(struct vouch *v)
{
	if (!v)
		return;
	end_child(v, 0);
	for (size_t i = 0; i < DYING_MAX; i++)
		if (v->dying[i].pidfd >= 0)
			close(v->dying[i].pidfd);
	free(v);
}

/* Users can bring it about: seldom enough for any log. */
static bool may_complain(struct vouch *v, uint64_t now)
{
	if (v->complained_ns && now - v->complained_ns < COMPLAIN_NS)
		return false;
	v->complained_ns = now;
	return true;
}

static void put_off(struct vouch *v, uint64_t now)
{
	v->pause_ms = v->pause_ms ? 2 * v->pause_ms : PAUSE_MIN_MS;
	if (v->pause_ms > PAUSE_MAX_MS)
		v->pause_ms = PAUSE_MAX_MS;
	v->not_before_ns = now + v->pause_ms * NS_OF_MS;
}

static int start(struct vouch *v, bool digests, uint64_t now)
{
	struct assay_err err = { 0 };
	int r;

	if (now < v->not_before_ns)
		return -EAGAIN;
	if (!find_free(v))
		r = assay_err_set(&err, -EAGAIN, "%u processes that did so do not end", DYING_MAX);
	else
		r = v->ops.start(v->ops.ctx, digests, &v->child, &err);
	if (r == 0) {
		v->digests = digests;
		v->was_asked = false;
		return 0;
	}
	v->child = (struct child){ .pidfd = -1, .socket = -1 };
	put_off(v, now);
	if (may_complain(v, now))
		log_line(LOG_ERR, "what exempt processes run is not looked at: %s", err.text);
	return -EAGAIN;
}

int vouch_fd(const struct vouch *v)
{
	return v->child.socket;
}

/* ---- questions ------------------------------------------------------------------------------ */

static int send_question(struct vouch *v, const struct vouch_question *q)
{
	struct ipc_message m = { .type = q->type, .id = (uint64_t)q->pid };
	uint8_t body[4];
	struct assay_wr w = assay_wr(body, sizeof(body));

	if (q->type == VOUCH_RECORD) {
		assay_wr_u32(&w, (uint32_t)q->alg);
		m.body = assay_wr_done(&w);
	} else if (q->type == VOUCH_LISTENER) {
		m.body = assay_bytes_str(q->tcti);
	}
	return ipc_send(v->child.socket, &m);
}

/* Whether who is there may be asked that. */
static bool fits(const struct vouch *v, const struct vouch_question *q)
{
	return v->digests == q->digests && (q->type != VOUCH_LISTENER || !v->was_asked);
}

int vouch_ask(struct vouch *v, const struct vouch_question *q, uint64_t now_ns)
{
	int r = 0;

	if (v->asked.type)
		return -EBUSY;
	(void)find_free(v);
	if (q->type != VOUCH_LISTENER && is_kept(v, q->pid))
		return -ETIMEDOUT;
	if (!fits(v, q))
		end_child(v, 0);
	if (v->child.socket < 0)
		r = start(v, q->digests, now_ns);
	if (r == 0)
		r = send_question(v, q);
	if (r < 0) {
		end_child(v, 0);
		return -EAGAIN;
	}
	v->was_asked |= q->type != VOUCH_LISTENER;
	v->asked = *q;
	v->waited_ns = 0;
	v->counted_ns = now_ns;
	return 0;
}

/* Two thirds of the limit pass at once at most: who stood still together with main, or the machine,
 * did not hang. */
static bool hangs(struct vouch *v, uint64_t now)
{
	uint64_t limit = v->asked.patience_ms * NS_OF_MS;

	v->waited_ns += assay_clock_step(&v->counted_ns, now, limit * 2 / 3);
	return v->waited_ns > limit;
}

/* A question is answered by its end, too. */
static int give_up(struct vouch *v, int r, uint64_t now)
{
	const pid_t about = v->asked.type == VOUCH_LISTENER ? 0 : v->asked.pid;

	v->asked.type = 0;
	end_child(v, about);
	if (r != -ETIMEDOUT)
		put_off(v, now);
	if (may_complain(v, now))
		log_line(LOG_WARNING, "who looked at %s (process %d) %s",
			 about ? "what is exempt" : "who listens", (int)about,
			 r == -ETIMEDOUT ? "did not come back, and was killed"
					 : "ended, or said what it may not");
	return r;
}

int vouch_hear(struct vouch *v, uint64_t now_ns, struct vouch_told *ret)
{
	const struct vouch_question *q = &v->asked;
	struct ipc_message m;
	int r;

	if (!q->type)
		return -ENOENT;
	r = ipc_receive(v->child.socket, &v->buffer, &m);
	if (r == -EAGAIN)
		return hangs(v, now_ns) ? give_up(v, -ETIMEDOUT, now_ns) : -EAGAIN;
	if (r == 0) {
		r = m.type == VOUCH_TOLD && m.id == (uint64_t)q->pid && m.n_fds == 0
			    ? vouch_told_parse(m.body, q->type, q->alg, ret)
			    : -EBADMSG;
		ipc_close_fds(&m);
	}
	if (r < 0)
		return give_up(v, r, now_ns);
	v->asked.type = 0;
	v->pause_ms = 0;
	return 0;
}

int vouch_wait_ms(const struct vouch *v, int most_ms)
{
	uint64_t limit = v->asked.patience_ms * NS_OF_MS, left;

	if (!v->asked.type)
		return most_ms;
	left = limit > v->waited_ns ? (limit - v->waited_ns) / NS_OF_MS + 1 : 1;
	return left < (uint64_t)most_ms ? (int)left : most_ms;
}
