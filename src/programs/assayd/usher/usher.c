/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main's side. */
#include "programs/assayd/usher/usher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rd.h"
#include "programs/assayd/process/ipc.h"

#define PLACES_MAX 64u
#define START_MS   10000u /* until it is ready: a busy machine */
#define STEP_MS	   50	  /* a machine that stands still costs one of them */

/* Where it hung, or was not asked for. */
struct place {
	uint64_t number, next_ns;
	bool seen; /* in this look */
};

struct usher {
	struct usher_ops ops;
	struct child child;
	bool has_child, has_hung; /* in this look */
	uint64_t now_ns, asked;
	uint32_t spent_ms; /* of this look */
	uint32_t n;
	struct place place[PLACES_MAX];
	struct ipc_buffer buffer;
};

int usher_new(const struct usher_ops *ops, struct usher **ret)
{
	struct usher *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->ops = *ops;
	*ret = u;
	return 0;
}

/* ---- the process ---------------------------------------------------------------------------- */

static void dismiss(struct usher *u)
{
	if (!u->has_child)
		return;
	child_kill(&u->child);
	if (u->ops.dismiss)
		u->ops.dismiss(u->ops.ctx, u->child.pid);
	child_close(&u->child);
	u->has_child = false;
}

/* Within @ms: 0; -ETIMEDOUT; others as ipc_receive(). */
static int hear(struct usher *u, uint32_t ms, struct ipc_message *ret)
{
	struct pollfd p = { .fd = u->child.socket, .events = POLLIN };
	uint64_t last = assay_clock_ms(), waited = 0;
	int n;

	do {
		n = poll(&p, 1, STEP_MS);
		waited += assay_clock_step(&last, assay_clock_ms(), STEP_MS);
	} while (n <= 0 && waited < ms);
	if (ms != START_MS)
		u->spent_ms += (uint32_t)waited;
	return n > 0 ? ipc_receive(u->child.socket, &u->buffer, ret) : -ETIMEDOUT;
}

static bool may_start(const struct usher *u)
{
	struct spawner_child child[SPAWNER_CHILDREN_MAX];
	uint32_t ended[CHILD_ROLE_COUNT], n = 0;

	for (size_t i = spawner_list(u->ops.spawner, child, ARRAY_LEN(child), ended); i > 0; i--)
		n += child[i - 1].role == CHILD_USHER;
	return n < USHER_DYING_MAX;
}

static int start(struct usher *u)
{
	struct ipc_message m;
	int r;

	if (u->has_child)
		return 0;
	if (!may_start(u))
		return -EBUSY;
	r = spawner_start(u->ops.spawner, CHILD_USHER, NULL, 0, u->ops.admit, u->ops.ctx, &u->child,
			  NULL);
	if (r < 0)
		return r;
	u->has_child = true;
	r = hear(u, START_MS, &m);
	if (r < 0)
		return r;
	ipc_close_fds(&m);
	return m.type == USHER_READY && m.n_fds == 0 ? 0 : -EBADMSG;
}

/* What it is, the mount's id says. */
static int take_opened(struct ipc_message *m)
{
	int flags, fd;

	if (m->n_fds != 1 || m->body.len)
		return -EBADMSG;
	flags = fcntl(m->fd[0], F_GETFL);
	if (flags < 0 || !(flags & O_PATH))
		return -EBADMSG;
	fd = m->fd[0];
	m->n_fds = 0;
	return fd;
}

/* *ret_error: why it could not be opened. */
static int take_failure(const struct ipc_message *m, int *ret_error)
{
	struct assay_rd in = assay_rd(m->body);
	uint32_t error;

	if (m->n_fds || !assay_rd_u32(&in, &error) || !assay_rd_end(&in) || error == 0 ||
	    error > 4095)
		return -EBADMSG;
	*ret_error = -(int)error;
	return 0;
}

/* Returns 0 if it answered: *ret is a descriptor, or -errno. */
static int ask(struct usher *u, const char *path, int *ret)
{
	const struct ipc_message question = { .type = USHER_OPEN,
					      .id = ++u->asked,
					      .body = assay_bytes_str(path) };
	struct ipc_message m;
	int r = start(u);

	if (r == 0)
		r = ipc_send(u->child.socket, &question);
	if (r == 0)
		r = hear(u, u->has_hung ? USHER_NEXT_MS : USHER_FIRST_MS, &m);
	if (r < 0)
		return r;
	if (m.id != u->asked)
		r = -EBADMSG;
	else if (m.type == USHER_OPENED)
		r = *ret = take_opened(&m);
	else
		r = m.type == USHER_FAILED ? take_failure(&m, ret) : -EBADMSG;
	ipc_close_fds(&m);
	return r < 0 ? r : 0;
}

/* ---- places --------------------------------------------------------------------------------- */

static struct place *find(struct usher *u, uint64_t number)
{
	for (uint32_t i = 0; i < u->n; i++)
		if (u->place[i].number == number)
			return &u->place[i];
	return NULL;
}

/* Where there is no room it is asked for in each look, which has its end all the same. */
static void put_off(struct usher *u, uint64_t number, uint64_t ns)
{
	struct place *p = find(u, number);

	if (!p && u->n == PLACES_MAX)
		return;
	if (!p)
		p = &u->place[u->n++];
	*p = (struct place){ .number = number, .next_ns = u->now_ns + ns, .seen = true };
}

static void forget(struct usher *u, uint64_t number)
{
	struct place *p = find(u, number);

	if (p)
		*p = u->place[--u->n];
}

int usher_open(struct usher *u, uint64_t place, const char *path)
{
	struct place *p = find(u, place);
	int fd, r;

	if (p)
		p->seen = true;
	if (p && u->now_ns < p->next_ns)
		return -ETIMEDOUT;
	if (u->spent_ms >= USHER_LOOK_MS) {
		put_off(u, place, USHER_SOON_NS);
		return -ETIMEDOUT;
	}
	r = ask(u, path, &fd);
	if (r == 0) {
		forget(u, place);
		return fd;
	}
	u->has_hung = true;
	dismiss(u);
	put_off(u, place, USHER_AGAIN_NS);
	return -ETIMEDOUT;
}

/* ---- looks ---------------------------------------------------------------------------------- */

void usher_begin(struct usher *u, uint64_t now_ns)
{
	u->now_ns = now_ns;
	u->spent_ms = 0;
	u->has_hung = false;
	for (uint32_t i = 0; i < u->n; i++)
		u->place[i].seen = false;
}

void usher_end(struct usher *u)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < u->n; i++)
		if (u->place[i].seen)
			u->place[left++] = u->place[i];
	u->n = left;
	dismiss(u);
}

bool usher_is_due(const struct usher *u, uint64_t now_ns)
{
	for (uint32_t i = 0; i < u->n; i++)
		if (now_ns >= u->place[i].next_ns)
			return true;
	return false;
}

void usher_free(struct usher *u)
{
	if (!u)
		return;
	dismiss(u);
	free(u);
}
