/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/peek/peek.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backends/source_fanotify/opener.h"
#include "base/clock.h"
#include "base/macros.h"
#include "programs/assayd/process/log.h"

#define CHILDREN       2u  /* one answers while another takes a killed one's place */
#define DYING_MAX      8u  /* killed, and not dead: they free what a user maps (decision 61) */
#define PATIENCE_MS    100 /* a question takes 20 us; a busy machine */
#define SHORT_MS       10  /* with whose user has hung, and with all while many do */
#define TASK_NS	       10000000000ull /* so long nothing is asked about a task that hung */
#define USER_NS	       1000000000ull  /* and about no other of its user's */
#define HUNG_MAX       64u
#define START_PAUSE_MS 100u /* between two that take another's place */
#define PAUSE_MAX_MS   10000u
#define COMPLAIN_NS    60000000000ull
#define BLIND_NS       10000000000ull /* nobody looks: something is wrong */

enum slot_state {
	SLOT_EMPTY,  /* main's */
	SLOT_READY,  /* the loop's */
	SLOT_KILLED, /* main's again */
};

struct slot {
	_Atomic int state;
	_Atomic int32_t asked; /* about whom, last */
	_Atomic uint32_t user; /* whose */
	struct child child;
};

/* Of main, but for what is atomic. */
struct dying {
	int pidfd;	       /* -1: nobody */
	_Atomic bool is;       /* and was not dead when it was looked after */
	_Atomic uint32_t user; /* whose task it looked at */
};

struct hung {
	int32_t tid;
	uint32_t uid;
	uint64_t since_ns; /* 0: nobody */
};

struct peek {
	struct peek_ops ops;
	int patience_ms;
	struct slot slot[CHILDREN];
	struct dying dying[DYING_MAX];
	uint64_t not_before_ns, complained_ns; /* main's */
	uint32_t pause_ms;
	_Atomic uint64_t ready_ns; /* when one was last */
	/* The loop's. */
	struct hung hung[HUNG_MAX]; /* the newest of them replace the oldest */
	uint32_t n_hung;
	uint64_t hung_ns;      /* when one did last */
	uint64_t waited_ns[2]; /* when all patience had been in vain, last and before */
	_Atomic uint64_t unanswered;
};

/* ---- the processes -------------------------------------------------------------------------- */

static int start(struct peek *p, struct slot *s, struct assay_err *err)
{
	int r = p->ops.start(p->ops.ctx, CHILD_PEEK, PEEK_READY, &s->child, err);

	if (r == 0)
		atomic_store(&s->state, SLOT_READY);
	return r;
}

int peek_new(const struct peek_ops *ops, struct peek **ret, struct assay_err *err)
{
	struct peek *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return assay_err_set(err, -ENOMEM, "out of memory");
	p->ops = *ops;
	p->patience_ms = ops->patience_ms ? ops->patience_ms : PATIENCE_MS;
	if (!p->ops.clock)
		p->ops.clock = assay_clock_ns;
	if (!p->ops.user_of)
		p->ops.user_of = assay_opener_user;
	atomic_store(&p->ready_ns, p->ops.clock());
	for (size_t i = 0; i < DYING_MAX; i++)
		p->dying[i].pidfd = -1;
	for (size_t i = 0; i < CHILDREN; i++)
		p->slot[i].child = (struct child){ .pidfd = -1, .socket = -1 };
	for (size_t i = 0; r == 0 && i < CHILDREN; i++)
		r = start(p, &p->slot[i], err);
	if (r == 0)
		*ret = p;
	else
		peek_free(p);
	return r;
}

void peek_free(struct peek *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < CHILDREN; i++)
		child_close(&p->slot[i].child);
	for (size_t i = 0; i < DYING_MAX; i++)
		if (p->dying[i].pidfd >= 0)
			close(p->dying[i].pidfd);
	free(p);
}

/* Users can bring it about: seldom enough for any log. */
static bool may_complain(struct peek *p, uint64_t now)
{
	if (p->complained_ns && now - p->complained_ns < COMPLAIN_NS)
		return false;
	p->complained_ns = now;
	return true;
}

static void replace(struct peek *p, struct slot *s, uint64_t now)
{
	struct assay_err err = { 0 };
	int r = start(p, s, &err);

	if (r == 0)
		p->pause_ms = START_PAUSE_MS;
	else if (p->pause_ms < PAUSE_MAX_MS)
		p->pause_ms = p->pause_ms ? 2 * p->pause_ms : START_PAUSE_MS;
	/* Who does not come up may have kept us for long. */
	if (r < 0)
		now = p->ops.clock();
	p->not_before_ns = now + p->pause_ms * 1000000ull;
	if (r < 0 && may_complain(p, now))
		log_line(LOG_ERR, "what openers are at is not looked at: %s", err.text);
}

static struct dying *find_free(struct peek *p)
{
	for (size_t i = 0; i < DYING_MAX; i++)
		if (p->dying[i].pidfd < 0)
			return &p->dying[i];
	return NULL;
}

/* Unless too many have been killed that do not end: then there is none in its place. */
static void bury(struct peek *p, struct slot *s, uint64_t now)
{
	struct dying *d = find_free(p);

	if (may_complain(p, now))
		log_line(LOG_WARNING, "who looked at process %d did not come back, and was killed",
			 (int)atomic_load(&s->asked));
	if (!d)
		return;
	atomic_store(&d->user, atomic_load(&s->user));
	d->pidfd = s->child.pidfd;
	s->child.pidfd = -1;
	child_close(&s->child);
	atomic_store(&s->state, SLOT_EMPTY);
}

static void forget_dead(struct peek *p)
{
	for (size_t i = 0; i < DYING_MAX; i++) {
		struct pollfd fd = { .fd = p->dying[i].pidfd, .events = POLLIN };

		if (fd.fd < 0)
			continue;
		if (poll(&fd, 1, 0) != 1) {
			atomic_store(&p->dying[i].is, true);
			continue;
		}
		close(fd.fd);
		p->dying[i].pidfd = -1;
		atomic_store(&p->dying[i].is, false);
	}
}

int peek_tend(struct peek *p, uint64_t now_ns, int most_ms)
{
	bool missing = false;

	forget_dead(p);
	for (size_t i = 0; i < CHILDREN; i++) {
		struct slot *s = &p->slot[i];

		if (atomic_load(&s->state) == SLOT_KILLED)
			bury(p, s, now_ns);
		if (atomic_load(&s->state) == SLOT_EMPTY && now_ns >= p->not_before_ns)
			replace(p, s, now_ns);
		if (atomic_load(&s->state) == SLOT_READY)
			atomic_store(&p->ready_ns, now_ns);
		else
			missing = true;
	}
	return missing && most_ms > (int)START_PAUSE_MS ? (int)START_PAUSE_MS : most_ms;
}

bool peek_is_blind(const struct peek *p)
{
	uint64_t now = p->ops.clock(), ready = atomic_load(&p->ready_ns);

	return now > ready && now - ready > BLIND_NS;
}

/* ---- who hangs ------------------------------------------------------------------------------ */

/* @all: it had all the patience there is. */
static void note_hung(struct peek *p, int32_t tid, uint32_t uid, bool all, uint64_t now)
{
	p->hung[p->n_hung++ % HUNG_MAX] = (struct hung){ .tid = tid, .uid = uid, .since_ns = now };
	p->hung_ns = now;
	if (!all)
		return;
	p->waited_ns[1] = p->waited_ns[0];
	p->waited_ns[0] = now;
}

/* Whoever looked at one of this user's was killed and does not end: each would be one more. */
static bool keeps_one(const struct peek *p, uint32_t uid)
{
	for (size_t i = 0; i < DYING_MAX; i++)
		if (atomic_load(&p->dying[i].is) && atomic_load(&p->dying[i].user) == uid)
			return true;
	return false;
}

/* It hung, or another of its user's did just now: who can make one hang can make many. Those whose
 * user is not known are one user's. */
static bool is_hung(const struct peek *p, int32_t tid, uint32_t uid, uint64_t now)
{
	if (keeps_one(p, uid))
		return true;
	if (p->hung_ns == 0 || now - p->hung_ns > TASK_NS)
		return false;
	for (size_t i = 0; i < HUNG_MAX; i++) {
		const struct hung *h = &p->hung[i];

		if (h->since_ns && ((h->tid == tid && now - h->since_ns < TASK_NS) ||
				    (h->uid == uid && now - h->since_ns < USER_NS)))
			return true;
	}
	return false;
}

static bool has_hung(const struct peek *p, uint32_t uid, uint64_t now)
{
	if (p->hung_ns == 0 || now - p->hung_ns > TASK_NS)
		return false;
	for (size_t i = 0; i < HUNG_MAX; i++)
		if (p->hung[i].since_ns && p->hung[i].uid == uid &&
		    now - p->hung[i].since_ns < TASK_NS)
			return true;
	return false;
}

/* ---- questions ------------------------------------------------------------------------------ */

static struct slot *find_ready(struct peek *p)
{
	for (size_t i = 0; i < CHILDREN; i++)
		if (atomic_load(&p->slot[i].state) == SLOT_READY)
			return &p->slot[i];
	return NULL;
}

/* What was cut short is no reason to cut others short: one slow moment must not feed itself. */
static int wait_ms(const struct peek *p, uint32_t uid, uint64_t now)
{
	bool many = p->waited_ns[1] && now - p->waited_ns[1] < USER_NS;

	return many || has_hung(p, uid, now) ? SHORT_MS : p->patience_ms;
}

/* @ret: struct peek_opener or struct assay_audit, as the question is. */
static int take_answer(const struct ipc_message *told, const struct ipc_message *asked, void *ret)
{
	if (told->type != PEEK_TOLD || told->id != asked->id || told->n_fds)
		return -EBADMSG;
	return asked->type == PEEK_OPENER ? peek_opener_parse(told->body, ret)
					  : peek_audit_parse(told->body, ret);
}

static int exchange(const struct slot *s, const struct ipc_message *asked, int ms,
		    struct ipc_buffer *buffer, void *ret)
{
	struct pollfd p = { .fd = s->child.socket, .events = POLLIN };
	struct ipc_message told;
	int r = ipc_send(s->child.socket, asked);

	if (r < 0)
		return r;
	if (poll(&p, 1, ms) != 1)
		return -ETIMEDOUT;
	r = ipc_receive(s->child.socket, buffer, &told);
	if (r < 0)
		return r;
	r = take_answer(&told, asked, ret);
	ipc_close_fds(&told);
	return r;
}

/* From here on it is main's. */
static void give_up(struct peek *p, struct slot *s)
{
	child_kill(&s->child);
	atomic_store(&s->state, SLOT_KILLED);
	eventfd_write(p->ops.wake_fd, 1);
}

/* Who ended or says what it may not has not hung: another may know. */
static int ask(struct peek *p, enum peek_message type, int32_t tid, struct ipc_buffer *buffer,
	       void *ret)
{
	const struct ipc_message m = { .type = type, .id = (uint32_t)tid };
	uint32_t uid = p->ops.user_of(tid);
	uint64_t now = p->ops.clock();
	int ms = wait_ms(p, uid, now), r = -EPIPE;
	struct slot *s = NULL;

	if (tid <= 0)
		return -ETIMEDOUT;
	if (!is_hung(p, tid, uid, now))
		while (r != -ETIMEDOUT && (s = find_ready(p))) {
			atomic_store(&s->asked, tid);
			atomic_store(&s->user, uid);
			r = exchange(s, &m, ms, buffer, ret);
			if (r == 0)
				return 0;
			give_up(p, s);
		}
	atomic_fetch_add(&p->unanswered, 1);
	if (r == -ETIMEDOUT)
		note_hung(p, tid, uid, ms == p->patience_ms, p->ops.clock());
	return -ETIMEDOUT;
}

int peek_opener(struct peek *p, int32_t tid, struct peek_opener *ret)
{
	struct ipc_buffer buffer;

	return ask(p, PEEK_OPENER, tid, &buffer, ret);
}

int peek_audit(struct peek *p, int32_t tid, struct ipc_buffer *buffer, struct assay_audit *ret)
{
	return ask(p, PEEK_AUDIT, tid, buffer, ret);
}

uint64_t peek_unanswered(const struct peek *p)
{
	return atomic_load(&p->unanswered);
}
