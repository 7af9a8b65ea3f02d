/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/peek/peek.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "backends/source_fanotify/opener.h"
#include "base/clock.h"
#include "base/macros.h"
#include "programs/assayd/process/log.h"

#define CHILDREN       2u	      /* one answers while another takes a killed one's place */
#define PATIENCE_MS    100	      /* a question takes 20 us; a busy machine */
#define SHORT_MS       10	      /* while there is somebody who hangs */
#define TASK_NS	       10000000000ull /* so long nothing is asked about a task that hung */
#define USER_NS	       1000000000ull  /* and about no other of its user's */
#define HUNG_MAX       64u
#define START_PAUSE_MS 100 /* between two that take another's place */
#define START_PAUSE_NS (START_PAUSE_MS * 1000000ull)
#define COMPLAIN_NS    60000000000ull

enum slot_state {
	SLOT_EMPTY,  /* main's */
	SLOT_READY,  /* the loop's */
	SLOT_KILLED, /* main's again */
};

struct slot {
	_Atomic int state;
	_Atomic int32_t asked; /* about whom, last */
	struct child child;
};

struct hung {
	int32_t tid;
	uint32_t uid;
	uint64_t since_ns; /* 0: nobody */
};

struct peek {
	struct peek_ops ops;
	struct slot slot[CHILDREN];
	uint64_t not_before_ns, complained_ns; /* main's */
	/* The loop's. */
	struct hung hung[HUNG_MAX]; /* the newest of them replace the oldest */
	uint32_t n_hung;
	uint64_t hung_ns; /* when one did last */
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

	p->not_before_ns = now + START_PAUSE_NS;
	if (start(p, s, &err) < 0 && may_complain(p, now))
		log_line(LOG_ERR, "what openers are at is not looked at: %s", err.text);
}

static void bury(struct peek *p, struct slot *s, uint64_t now)
{
	if (may_complain(p, now))
		log_line(LOG_WARNING, "who looked at process %d did not come back, and was killed",
			 (int)atomic_load(&s->asked));
	child_close(&s->child);
	atomic_store(&s->state, SLOT_EMPTY);
}

int peek_tend(struct peek *p, uint64_t now_ns, int most_ms)
{
	bool missing = false;

	for (size_t i = 0; i < CHILDREN; i++) {
		struct slot *s = &p->slot[i];

		if (atomic_load(&s->state) == SLOT_KILLED)
			bury(p, s, now_ns);
		if (atomic_load(&s->state) == SLOT_EMPTY && now_ns >= p->not_before_ns)
			replace(p, s, now_ns);
		missing |= atomic_load(&s->state) == SLOT_EMPTY;
	}
	return missing && most_ms > START_PAUSE_MS ? START_PAUSE_MS : most_ms;
}

/* ---- who hangs ------------------------------------------------------------------------------ */

/* What is asked here waits for nobody. UINT32_MAX: it is gone. */
static uint32_t user_of(int32_t tid)
{
	struct assay_subject s;

	return assay_opener_subject(tid, &s) == 0 ? s.uid : UINT32_MAX;
}

static void note_hung(struct peek *p, int32_t tid, uint64_t now)
{
	p->hung[p->n_hung++ % HUNG_MAX] =
		(struct hung){ .tid = tid, .uid = user_of(tid), .since_ns = now };
	p->hung_ns = now;
}

/* It hung, or another of its user's did just now: who can make one hang can make many. */
static bool is_hung(const struct peek *p, int32_t tid, uint64_t now)
{
	uint32_t uid;

	if (p->hung_ns == 0 || now - p->hung_ns > TASK_NS)
		return false;
	uid = now - p->hung_ns < USER_NS ? user_of(tid) : UINT32_MAX;
	for (size_t i = 0; i < HUNG_MAX; i++) {
		const struct hung *h = &p->hung[i];

		if (h->since_ns &&
		    ((h->tid == tid && now - h->since_ns < TASK_NS) ||
		     (h->uid == uid && uid != UINT32_MAX && now - h->since_ns < USER_NS)))
			return true;
	}
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

static int wait_ms(const struct peek *p, uint64_t now)
{
	if (p->ops.patience_ms)
		return p->ops.patience_ms;
	return p->hung_ns && now - p->hung_ns < TASK_NS ? SHORT_MS : PATIENCE_MS;
}

/* @ret: uint32_t or struct assay_audit, as the question is. */
static int take_answer(const struct ipc_message *told, const struct ipc_message *asked, void *ret)
{
	if (told->type != PEEK_TOLD || told->id != asked->id || told->n_fds)
		return -EBADMSG;
	return asked->type == PEEK_ACCESS ? peek_access_parse(told->body, ret)
					  : peek_subject_parse(told->body, ret);
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
	uint64_t now = assay_clock_ns();
	struct slot *s = NULL;
	int r = -EPIPE;

	if (tid <= 0)
		return -ETIMEDOUT;
	if (!is_hung(p, tid, now))
		while (r != -ETIMEDOUT && (s = find_ready(p))) {
			atomic_store(&s->asked, tid);
			r = exchange(s, &m, wait_ms(p, now), buffer, ret);
			if (r == 0)
				return 0;
			give_up(p, s);
		}
	atomic_fetch_add(&p->unanswered, 1);
	if (r == -ETIMEDOUT)
		note_hung(p, tid, assay_clock_ns());
	return -ETIMEDOUT;
}

uint32_t peek_access(struct peek *p, int32_t tid)
{
	struct ipc_buffer buffer;
	uint32_t access;

	return ask(p, PEEK_ACCESS, tid, &buffer, &access) < 0 ? 0 : access;
}

int peek_subject(struct peek *p, int32_t tid, struct ipc_buffer *buffer, struct assay_audit *ret)
{
	return ask(p, PEEK_SUBJECT, tid, buffer, ret);
}

uint64_t peek_unanswered(const struct peek *p)
{
	return atomic_load(&p->unanswered);
}
