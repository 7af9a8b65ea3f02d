/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/crew.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "programs/assayd/process/ipc.h"

#define JOBS_MAX   32u		 /* that a worker has at once */
#define BYTES_MAX  (8ull << 20)	 /* of these, but for a single one */
#define STALL_NS   1000000000ull /* without a word, before others wait elsewhere */
#define GRACE_NS   2000000000ull /* to let go of what was cancelled */
#define SLICE	   (128ull << 10)
#define KEPT	   3u /* who stay when there is nothing to do, the one for small files too */
#define GROW_AT	   4u /* files that the one has who has least */
#define GROW_BYTES (1ull << 20)	  /* of them */
#define LEAVE_NS   1000000000ull  /* between two who are not needed any more */
#define IDLE_NS	   60000000000ull /* without need of so many */

_Static_assert(JOBS_MAX <= WORKER_BATCH_MAX && WORKER_BATCH_MAX <= IPC_FDS_MAX, "one message");

struct given {
	uint64_t id, size;
	struct worker_job job;
	bool canceled, big;
};

struct crew_member {
	struct crew_member *next;      /* of those that work */
	struct crew_member *next_post; /* of those that are handed over between threads */
	struct child child;
	bool small_only, stalled;
	bool leaves;		      /* it is not needed any more */
	bool ended;		      /* it is in the list until nobody can be at it any more */
	struct given given[JOBS_MAX]; /* in the order in which they are done */
	uint32_t n;
	uint64_t bytes; /* of these */
	uint32_t n_big;
	uint64_t heard_ns;
	/* Given, and not sent yet. */
	uint8_t out[WORKER_BATCH_MAX * WORKER_JOB_SIZE];
	struct assay_wr w;
	int fd[WORKER_BATCH_MAX];
	uint32_t n_out;
};

struct crew {
	const struct crew_ops *ops;
	void *ctx;
	uint32_t n_most;	   /* the one for small files among them */
	_Atomic uint32_t n_wanted; /* by now; the loop's thread sets it */
	uint64_t needed_ns;	   /* when all had something to do */
	struct crew_member *members;
	int epoll_fd, wake_fd;
	struct ipc_buffer buffer;
	/* Between the threads: who comes, who goes. */
	_Atomic(struct crew_member *) newcomers, gone;
	_Atomic uint32_t n_working;
	struct crew_member *leaving; /* the other thread's */
};

static void post(_Atomic(struct crew_member *) *to, struct crew_member *m)
{
	m->next_post = atomic_load(to);
	while (!atomic_compare_exchange_weak(to, &m->next_post, m))
		;
}

int crew_new(uint32_t n, const struct crew_ops *ops, void *ctx, int epoll_fd, int wake_fd,
	     struct crew **ret)
{
	struct crew *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->ops = ops;
	c->ctx = ctx;
	c->n_most = n + 1;
	c->n_wanted = c->n_most < KEPT ? c->n_most : KEPT;
	c->wake_fd = wake_fd;
	c->epoll_fd = epoll_fd;
	*ret = c;
	return 0;
}

static void free_chain(struct crew_member *m, bool posted)
{
	struct crew_member *next;

	for (; m; m = next) {
		next = posted ? m->next_post : m->next;
		child_close(&m->child);
		free(m);
	}
}

void crew_free(struct crew *c)
{
	if (!c)
		return;
	free_chain(c->members, false);
	free_chain(atomic_load(&c->newcomers), true);
	free_chain(atomic_load(&c->gone), true);
	free_chain(c->leaving, true);
	free(c);
}

/* ---- the other thread ----------------------------------------------------------------------- */

uint32_t crew_most(const struct crew *c)
{
	return c->n_most;
}

uint32_t crew_missing(struct crew *c)
{
	uint32_t wanted = atomic_load(&c->n_wanted), working = atomic_load(&c->n_working);

	return wanted > working ? wanted - working : 0;
}

int crew_join(struct crew *c, const struct child *child)
{
	struct crew_member *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->child = *child;
	m->w = assay_wr(m->out, sizeof(m->out));
	atomic_fetch_add(&c->n_working, 1);
	post(&c->newcomers, m);
	return 0;
}

bool crew_take_gone(struct crew *c, struct child *ret)
{
	struct crew_member *m;

	if (!c->leaving)
		c->leaving = atomic_exchange(&c->gone, NULL);
	m = c->leaving;
	if (!m)
		return false;
	c->leaving = m->next_post;
	*ret = m->child;
	free(m);
	return true;
}

/* ---- the end of one ------------------------------------------------------------------------- */

static void forget(struct crew_member *m, uint32_t i)
{
	m->bytes -= m->given[i].size;
	m->n_big -= m->given[i].big;
	m->n--;
	memmove(&m->given[i], &m->given[i + 1], (m->n - i) * sizeof(m->given[0]));
}

/* Who is killed may take long to die, in a read that never ends: it is not waited for. Those who
 * are told what was lost may call us, who may be at this member: it is taken out later. */
static void end_member(struct crew *c, struct crew_member *m)
{
	if (m->ended)
		return;
	m->ended = true;
	(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, m->child.socket, NULL);
	(void)syscall(SYS_pidfd_send_signal, m->child.pidfd, SIGKILL, NULL, 0);
	m->n_out = 0;
	while (m->n) {
		struct given g = m->given[0];

		forget(m, 0);
		if (!g.canceled)
			c->ops->lost(c->ctx, g.id, true);
	}
}

static void take_out_ended(struct crew *c)
{
	struct crew_member **at = &c->members, *m;

	while ((m = *at)) {
		if (!m->ended) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		atomic_fetch_sub(&c->n_working, 1);
		post(&c->gone, m);
		eventfd_write(c->wake_fd, 1);
	}
}

/* ---- findings ------------------------------------------------------------------------------- */

static bool has_digest(const struct assay_digest *d)
{
	return d->alg != ASSAY_HASH_COUNT;
}

/* What was asked for, no more and no less. */
static bool fits(const struct worker_job *job, const struct worker_finding *f)
{
	bool wanted = job->wanted & WORKER_DIGEST || (job->wanted & WORKER_DIGEST_IF_ELF && f->elf);
	bool looked = job->wanted & (WORKER_HEAD | WORKER_DIGEST_IF_ELF);

	if (f->status != WORKER_DONE)
		return !has_digest(&f->digest) && f->bytes == 0;
	return has_digest(&f->digest) == wanted && (!wanted || f->digest.alg == job->alg) &&
	       (looked || !f->elf) && (wanted || f->bytes == 0) &&
	       (f->bytes <= job->size_max || f->bytes - job->size_max <= 2 * SLICE) &&
	       (job->wanted & WORKER_VERITY || !has_digest(&f->verity)) &&
	       (!has_digest(&f->verity) || f->verity.alg == ASSAY_HASH_SHA256 ||
		f->verity.alg == ASSAY_HASH_SHA512);
}

static bool take_finding(struct crew *c, struct crew_member *m, const struct worker_finding *f)
{
	struct given g;
	uint32_t i = 0;

	while (i < m->n && m->given[i].id != f->id)
		i++;
	if (i == m->n || !fits(&m->given[i].job, f))
		return false;
	g = m->given[i];
	if (f->status == WORKER_CANCELED && !g.canceled)
		return false;
	forget(m, i);
	if (!g.canceled)
		c->ops->found(c->ctx, f);
	return true;
}

static bool take_message(struct crew *c, struct crew_member *m, const struct ipc_message *msg)
{
	struct worker_finding f[WORKER_BATCH_MAX];
	uint32_t n;

	if (msg->type != WORKER_FINDINGS || msg->n_fds || msg->id ||
	    worker_findings_parse(msg->body, f, &n) < 0)
		return false;
	m->heard_ns = assay_clock_ns();
	m->stalled = false;
	for (uint32_t i = 0; i < n && !m->ended; i++)
		if (!take_finding(c, m, &f[i]))
			return false;
	return true;
}

static void take_newcomer(struct crew *c, struct crew_member *m)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = m };

	/* One of them is kept for small files. */
	m->small_only = true;
	for (struct crew_member *o = c->members; o; o = o->next)
		m->small_only &= !o->small_only || o->ended;
	m->next = c->members;
	c->members = m;
	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, m->child.socket, &e) < 0)
		end_member(c, m);
}

static void take_newcomers(struct crew *c)
{
	struct crew_member *m, *next;

	if (!atomic_load(&c->newcomers))
		return;
	for (m = atomic_exchange(&c->newcomers, NULL); m; m = next) {
		next = m->next_post;
		take_newcomer(c, m);
	}
}

/* One message: there is another event if there are more. */
void crew_receive(struct crew *c, void *ptr)
{
	struct crew_member *m = ptr;
	struct ipc_message msg;
	int r;

	if (m->ended)
		return;
	r = ipc_receive(m->child.socket, &c->buffer, &msg);
	if (r == 0) {
		r = take_message(c, m, &msg) ? 0 : -EBADMSG;
		ipc_close_fds(&msg);
	}
	if (r < 0 && r != -EAGAIN)
		end_member(c, m);
}

/* ---- giving --------------------------------------------------------------------------------- */

static bool can_take(const struct crew_member *m, const struct crew_job *job)
{
	if (m->ended || m->leaves || m->stalled || m->n_big || m->n == JOBS_MAX)
		return false;
	if (m->n == 0 || job->alone)
		return m->n == 0;
	return m->bytes + job->size <= BYTES_MAX || job->size > CREW_BIG_SIZE;
}

/* The one kept for small files has nothing to do while the others take them. */
static struct crew_member *choose(struct crew *c, const struct crew_job *job, bool big)
{
	struct crew_member *best = NULL, *spare = NULL;
	bool busy = true;

	for (struct crew_member *m = c->members; m; m = m->next) {
		if (m->small_only) {
			spare = m;
			continue;
		}
		busy &= m->ended || m->leaves || m->n_big || m->stalled;
		if (can_take(m, job) && (!best || m->n < best->n))
			best = m;
	}
	if (!best && busy && !big && spare && can_take(spare, job))
		best = spare;
	return best;
}

/* @m: who would do it, of all the one with least to do; NULL: nobody. One more, unless one is on
 * its way, comes for a backlog only: what is opened now and then is done by those who are there. */
static void grow(struct crew *c, const struct crew_member *m)
{
	if (m && !m->small_only && m->n == 0)
		return;
	c->needed_ns = assay_clock_ns();
	if (m && !m->small_only && m->n < GROW_AT && m->bytes < GROW_BYTES)
		return;
	if (atomic_load(&c->n_wanted) == c->n_most || crew_missing(c) > 0)
		return;
	atomic_fetch_add(&c->n_wanted, 1);
	eventfd_write(c->wake_fd, 1);
}

bool crew_give(struct crew *c, const struct crew_job *job)
{
	bool big = job->size > CREW_BIG_SIZE || job->alone;
	struct crew_member *m;

	take_newcomers(c);
	m = choose(c, job, big);
	grow(c, m);
	if (!m)
		return false;
	if (m->n == 0)
		m->heard_ns = assay_clock_ns();
	m->given[m->n++] = (struct given){
		.id = job->job.id,
		.size = job->size,
		.job = job->job,
		.big = big,
	};
	m->bytes += job->size;
	m->n_big += big;
	worker_job_put(&m->w, &job->job);
	m->fd[m->n_out++] = job->fd;
	return true;
}

void crew_resume(struct crew *c)
{
	for (struct crew_member *m = c->members; m; m = m->next)
		m->heard_ns = assay_clock_ns();
}

static void flush(struct crew *c, struct crew_member *m)
{
	struct ipc_message msg = { .type = WORKER_JOBS, .n_fds = m->n_out };
	int r;

	if (m->n_out == 0)
		return;
	msg.body = assay_wr_done(&m->w);
	memcpy(msg.fd, m->fd, m->n_out * sizeof(m->fd[0]));
	r = ipc_send(m->child.socket, &msg);
	m->w = assay_wr(m->out, sizeof(m->out));
	m->n_out = 0;
	/* Also when its socket is full: it never is while it reads. */
	if (r < 0)
		end_member(c, m);
}

void crew_flush(struct crew *c)
{
	struct crew_member *m, *next;

	for (m = c->members; m; m = next) {
		next = m->next;
		flush(c, m);
	}
}

/* False: @m is no more. */
static bool cancel(struct crew *c, struct crew_member *m, uint32_t i)
{
	struct ipc_message msg = { .type = WORKER_CANCEL, .id = m->given[i].id };

	m->given[i].canceled = true;
	if (i == 0)
		m->heard_ns = assay_clock_ns();
	if (ipc_send(m->child.socket, &msg) == 0)
		return true;
	end_member(c, m);
	return false;
}

void crew_cancel(struct crew *c, uint64_t id)
{
	crew_flush(c);
	for (struct crew_member *m = c->members; m; m = m->next)
		for (uint32_t i = 0; i < m->n; i++)
			if (m->given[i].id == id && !m->given[i].canceled) {
				(void)cancel(c, m, i);
				return;
			}
}

/* ---- time ----------------------------------------------------------------------------------- */

/* Those behind the one that it does not come to an end with. */
static void take_back(struct crew *c, struct crew_member *m)
{
	m->stalled = true;
	for (uint32_t i = 1; i < m->n; i++) {
		uint64_t id = m->given[i].id;

		if (m->given[i].canceled)
			continue;
		if (!cancel(c, m, i)) {
			c->ops->lost(c->ctx, id, false);
			return;
		}
		c->ops->lost(c->ctx, id, false);
	}
}

/* Returns when to look at it again. */
static uint64_t look_at(struct crew *c, struct crew_member *m, uint64_t now)
{
	uint64_t patience;

	if (m->leaves && now >= m->heard_ns + GRACE_NS)
		end_member(c, m);
	if (m->n == 0)
		return m->leaves && !m->ended ? m->heard_ns + GRACE_NS : UINT64_MAX;
	patience = m->given[0].canceled ? GRACE_NS : STALL_NS;
	if (now < m->heard_ns + patience)
		return m->heard_ns + patience;
	if (m->given[0].canceled) {
		end_member(c, m);
		return UINT64_MAX;
	}
	/* A big one has the worker for itself, and a deadline. */
	if (m->n > 1 && !m->stalled)
		take_back(c, m);
	return UINT64_MAX;
}

/* One at a time goes if for a minute fewer were enough: it has nothing to do, ends when it sees
 * that nothing more can come, and is found to have ended. Returns when the next one may. */
static uint64_t shrink(struct crew *c, uint64_t now)
{
	struct crew_member *m = c->members;

	if (atomic_load(&c->n_wanted) <= (c->n_most < KEPT ? c->n_most : KEPT))
		return UINT64_MAX;
	if (now < c->needed_ns + IDLE_NS)
		return c->needed_ns + IDLE_NS;
	while (m && (m->ended || m->leaves || m->n || m->small_only))
		m = m->next;
	if (m) {
		m->leaves = true;
		m->heard_ns = now;
		atomic_fetch_sub(&c->n_wanted, 1);
		(void)shutdown(m->child.socket, SHUT_WR);
	}
	return now + LEAVE_NS;
}

uint64_t crew_tick(struct crew *c, uint64_t now)
{
	struct crew_member *m, *next;
	uint64_t due = UINT64_MAX, at;

	take_newcomers(c);
	for (m = c->members; m; m = next) {
		next = m->next;
		at = look_at(c, m, now);
		due = at < due ? at : due;
	}
	at = shrink(c, now);
	take_out_ended(c);
	return at < due ? at : due;
}
