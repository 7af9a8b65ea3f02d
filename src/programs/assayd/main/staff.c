/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/staff.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/loop.h"

#define COME_UP_MS   10000
#define LIVES_NS     10000000000ull /* one that does so long is no reason for a pause */
#define PAUSE_MIN_MS 100u
#define PAUSE_MAX_MS 1000u /* openers wait */

static int exempt(void *ctx, pid_t pid, int pidfd)
{
	struct daemon *d = ctx;

	(void)pidfd;
	return assay_fanotify_exempt(d->group, pid, NULL);
}

/* Until it is in its sandbox; from then on it can open nothing that would have to be answered. */
static int wait_until_ready(const struct child *c, uint32_t ready)
{
	struct pollfd p = { .fd = c->socket, .events = POLLIN };
	struct ipc_buffer buffer;
	struct ipc_message m;
	int r;

	if (poll(&p, 1, COME_UP_MS) <= 0)
		return -ETIMEDOUT;
	r = ipc_receive(c->socket, &buffer, &m);
	if (r < 0)
		return r;
	ipc_close_fds(&m);
	return m.type == ready ? 0 : -EBADMSG;
}

/* Who waits for a medium that does not answer cannot be killed: until then nobody takes its place
 * if there are many. */
static void end_child(struct staff *s, struct child *c)
{
	child_kill(c);
	if (s->n_dying < STAFF_DYING_MAX) {
		s->dying[s->n_dying++] = c->pidfd;
		c->pidfd = -1;
	}
	child_close(c);
}

static void bury_dead(struct staff *s, struct daemon *d)
{
	for (uint32_t i = 0; i < s->n_dying;) {
		struct pollfd p = { .fd = s->dying[i], .events = POLLIN };

		if (poll(&p, 1, 0) == 0) {
			i++;
			continue;
		}
		close(s->dying[i]);
		s->dying[i] = s->dying[--s->n_dying];
	}
	atomic_store(&d->totals.stuck_workers, s->n_dying);
}

/* As many again as there should be, three times over. */
static bool may_start(const struct staff *s, struct daemon *d)
{
	uint32_t most = 3 * crew_most(loop_crew(d->loop));

	return s->n_dying < (most < STAFF_DYING_MAX ? most : STAFF_DYING_MAX);
}

int staff_start_child(void *ctx, enum child_role role, uint32_t ready, struct child *ret,
		      struct assay_err *err)
{
	struct staff *s = ctx;
	struct child c;
	int r = s->n_dying < STAFF_DYING_MAX ? 0 : -EAGAIN;

	if (r < 0)
		return assay_err_set(err, r, "too many processes do not end");
	r = spawner_start(s->daemon->spawner, role, NULL, 0, exempt, s->daemon, &c, err);
	if (r < 0)
		return r;
	r = wait_until_ready(&c, ready);
	if (r == 0 && fcntl(c.socket, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	assay_fanotify_unexempt(s->daemon->group, c.pid);
	if (r == 0) {
		*ret = c;
		return 0;
	}
	end_child(s, &c);
	return assay_err_set(err, r, "a %s does not come up: %s", child_role_name(role),
			     strerror(-r));
}

static int start_one(struct staff *s, struct daemon *d, struct assay_err *err)
{
	struct child c;
	int r = staff_start_child(s, CHILD_WORKER, WORKER_READY, &c, err);

	if (r < 0)
		return r;
	r = crew_join(loop_crew(d->loop), &c);
	if (r == 0) {
		loop_wake(d->loop);
		return 0;
	}
	end_child(s, &c);
	return assay_err_set(err, r, "a worker cannot join: %s", strerror(-r));
}

int staff_start(struct staff *s, struct daemon *d, struct assay_err *err)
{
	int r = 0;

	s->daemon = d;
	s->started_ns = assay_clock_ns();
	while (r == 0 && crew_missing(loop_crew(d->loop)) > 0)
		r = start_one(s, d, err);
	return r;
}

/* Who dies as soon as it lives shall not keep us busy. */
static void put_off(struct staff *s, uint64_t now)
{
	if (now - s->started_ns > LIVES_NS)
		s->pause_ms = 0;
	s->not_before_ns = now + s->pause_ms * 1000000ull;
	if (s->pause_ms < PAUSE_MAX_MS)
		s->pause_ms = s->pause_ms ? s->pause_ms * 2 : PAUSE_MIN_MS;
	if (s->pause_ms > PAUSE_MAX_MS)
		s->pause_ms = PAUSE_MAX_MS;
}

int staff_tend(struct staff *s, struct daemon *d, int most_ms)
{
	struct crew *crew = loop_crew(d->loop);
	uint64_t now = assay_clock_ns(), left_ms;
	struct assay_err err = { 0 };
	struct child c;
	bool any = false;

	bury_dead(s, d);
	for (; crew_take_gone(crew, &c); any = true)
		end_child(s, &c);
	if (any)
		put_off(s, now);
	if (crew_missing(crew) == 0)
		return most_ms;
	if (!may_start(s, d))
		return most_ms;
	if (now >= s->not_before_ns) {
		if (staff_start(s, d, &err) == 0)
			return most_ms;
		log_line(LOG_ERR, "%s", err.text);
		put_off(s, now = assay_clock_ns());
	}
	left_ms = (s->not_before_ns - now) / 1000000u + 1;
	return left_ms < (uint64_t)most_ms ? (int)left_ms : most_ms;
}
