/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of lease.h, spread over two steps of a job: judge (lease, digest, records), and, once
 * the records are anchored, settle (mark, look at the lease), answer, drop. The anchor thread only
 * moves jobs between queues.
 */
#include "programs/assayd/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backends/source_fanotify/lease.h"
#include "backends/source_fanotify/object.h"
#include "programs/assayd/judge.h"
#include "programs/assayd/log.h"

#define NODE_JOB(n) ((struct job *)(n))
_Static_assert(offsetof(struct job, node) == 0, "NODE_JOB");

#define FETCH_SIZE (128 << 10) /* bytes of a file that are asked for ahead */

struct workers {
	struct daemon *daemon;
	pthread_t reader;
	bool has_reader;
	int stop_fd; /* eventfd: the reader ends */
	uint32_t n;
	struct worker {
		pthread_t thread;
		struct judge judge;
	} worker[];
};

/* ---- a job ---------------------------------------------------------------------------------- */

/* @digest: of what they saw; NULL: it is to be found out. */
static void release(struct daemon *d, struct assay_inflight_node *waiter,
		    const struct assay_digest *digest)
{
	struct assay_inflight_node *next;

	for (; waiter; waiter = next) {
		next = waiter->next_waiter;
		NODE_JOB(waiter)->owns_inode = false; /* it has to enter again */
		NODE_JOB(waiter)->findings.has_digest = digest != NULL;
		if (digest)
			NODE_JOB(waiter)->findings.digest = *digest;
		jobs_put(d->jobs, NODE_JOB(waiter));
	}
}

/* @waiters: those who opened before settle() found the lease intact: they saw this content. */
static void end_job(struct daemon *d, struct job *job, struct assay_inflight_node *waiters)
{
	const struct findings *f = &job->findings;
	struct assay_inflight_node *later = NULL;

	if (job->owns_inode)
		later = assay_inflight_leave(d->inflight, &job->node);
	release(d, waiters, f->leased && f->has_digest ? &f->digest : NULL);
	release(d, later, NULL);
	jobs_end(d->jobs, job);
}

static bool set_mark(struct daemon *d, struct job *job)
{
	struct findings *f = &job->findings;

	return f->leased && f->ignore_bits && !atomic_load(&job->answered) &&
	       assay_fanotify_ignore(d->group, job->event.fd, f->ignore_bits, f->epoch) == 0;
}

/* open(O_RDONLY | O_TRUNC) empties a file without breaking a lease, and after its own event. Looked
 * at when the mark is there: who empties it later drops that. */
static bool has_size(int fd, int64_t size)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == size;
}

/* Leaves the ignore mark there if nothing has happened since the lease was taken. Returns who waits
 * behind: collected before the last look at the lease, as who comes later may see changed content.
 */
static struct assay_inflight_node *settle(struct daemon *d, struct job *job)
{
	struct assay_inflight_node *waiters = NULL;
	struct findings *f = &job->findings;
	bool marked = set_mark(d, job);

	if (job->owns_inode)
		waiters = assay_inflight_waiters(d->inflight, &job->node);
	if (!f->leased)
		return waiters;
	f->leased = assay_lease_intact(job->event.fd) && has_size(job->event.fd, f->size);
	if (!f->leased)
		atomic_fetch_add(&d->totals.broken_leases, 1);
	if (marked && f->leased)
		atomic_fetch_add(&d->totals.marks, 1);
	else if (marked)
		assay_fanotify_unignore(d->group, job->event.fd, f->ignore_bits);
	return waiters;
}

/* A list that takes nothing is said once, by the recorder. */
static void complain(struct daemon *d, const struct judge_case *c, const struct assay_err *err)
{
	char path[ASSAY_OBJECT_PATH_MAX];

	atomic_fetch_add(&d->totals.errors, 1);
	if (err->code == -ENOSPC || err->code == -EIO)
		return;
	if (assay_object_path(c->fd, &c->st, path) < 0)
		path[0] = '\0';
	log_line(LOG_ERR, "'%s' was not measured: %s", path, err->text);
}

/* Whoever is on the way to the recorder has arrived, or turned off. */
static void count_judged(struct daemon *d)
{
	if (jobs_judged(d->jobs))
		anchor_wait_gathered(d->events);
}

enum outcome {
	OUTCOME_SETTLE, /* nothing to wait for */
	OUTCOME_ANCHOR, /* waits for its record */
	OUTCOME_BEHIND, /* waits behind another event of its inode: no longer the caller's */
};

static enum outcome judge_job(struct daemon *d, struct judge *judge, struct job *job)
{
	struct judge_case c = {
		.fd = job->event.fd,
		.tid = job->event.tid,
		.exec = job->event.exec,
		.answered = &job->answered,
	};
	struct assay_err err = { 0 };
	int r;

	if (atomic_load(&job->answered) || fstat(c.fd, &c.st) < 0 || !S_ISREG(c.st.st_mode))
		return OUTCOME_SETTLE;
	if (!job->owns_inode) {
		job->owns_inode = true; /* before others can see it */
		job->node.dev = c.st.st_dev;
		job->node.ino = c.st.st_ino;
		if (!assay_inflight_enter(d->inflight, &job->node))
			return OUTCOME_BEHIND;
	}
	job->findings.size = c.st.st_size;
	r = judge_file(judge, &c, &job->findings, &err);
	if (r < 0 && r != -ECANCELED)
		complain(d, &c, &err);
	job->judged = true;
	if (r < 0) {
		job->findings.ignore_bits = 0;
		return OUTCOME_SETTLE;
	}
	return job->findings.wait_for == ASSAY_NO_RECORD ? OUTCOME_SETTLE : OUTCOME_ANCHOR;
}

/* False: the job waits, and is not the caller's any more. */
static bool judge_and_count(struct daemon *d, struct judge *judge, struct job *job)
{
	enum outcome outcome = judge_job(d, judge, job);

	count_judged(d);
	if (outcome == OUTCOME_ANCHOR)
		jobs_wait(d->jobs, job);
	return outcome == OUTCOME_SETTLE;
}

/* Where several wait, the medium is asked for the content of each before the first is read: few
 * workers then wait for many files at once. */
static bool fetch(struct daemon *d, struct job *job)
{
	const struct loaded_policy *p = atomic_load(&d->policy);
	enum assay_hook hook = job->event.exec ? ASSAY_HOOK_BPRM_CHECK : ASSAY_HOOK_FILE_CHECK;

	if (job->fetched || !job->in_company || assay_policy_needs(p->compiled, hook) == 0)
		return false;
	job->fetched = true;
	(void)posix_fadvise(job->event.fd, 0, FETCH_SIZE, POSIX_FADV_WILLNEED);
	jobs_fetch(d->jobs, job);
	return true;
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	struct daemon *d = w->judge.daemon;
	struct assay_inflight_node *waiters;
	struct job *job;

	while ((job = jobs_take(d->jobs))) {
		if (!job->judged && fetch(d, job))
			continue;
		if (!job->judged && !judge_and_count(d, &w->judge, job))
			continue;
		waiters = settle(d, job);
		/* A writer that waits for our lease goes on after the opener, not before. */
		latency_add(&d->totals.waits, jobs_now_ns() - job->arrived_ns);
		jobs_answer(d->jobs, job, true);
		assay_lease_drop(job->event.fd);
		end_job(d, job, waiters);
	}
	return NULL;
}

/* ---- the reader ----------------------------------------------------------------------------- */

/* Opens nothing, logs nothing, waits for nobody but room in the table of files. */
static void *run_reader(void *arg)
{
	struct workers *w = arg;
	struct daemon *d = w->daemon;
	struct pollfd p[] = {
		{ .fd = assay_fanotify_fd(d->group), .events = POLLIN },
		{ .fd = w->stop_fd, .events = POLLIN },
	};
	struct assay_fanotify_event event[ASSAY_FANOTIFY_READ_MAX];

	while (!p[1].revents) {
		size_t room = jobs_room(d->jobs, ASSAY_FANOTIFY_READ_MAX);
		int n;

		if (poll(p, 2, -1) < 0)
			continue;
		n = assay_fanotify_read(d->group, event, room);
		for (int i = 0; i < n; i++)
			jobs_add(d->jobs, &event[i]);
	}
	return NULL;
}

/* ---- all of them ---------------------------------------------------------------------------- */

int workers_start(struct daemon *d, uint32_t n, struct workers **ret, struct assay_err *err)
{
	struct workers *w = calloc(1, sizeof(*w) + n * sizeof(w->worker[0]));
	int r = 0;

	if (!w)
		return assay_err_set(err, -ENOMEM, "out of memory");
	w->daemon = d;
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	for (; r == 0 && w->n < n; w->n += r == 0) {
		struct worker *it = &w->worker[w->n];

		r = judge_init(&it->judge, d, err);
		if (r == 0 && (r = -pthread_create(&it->thread, NULL, run_worker, it)) < 0) {
			judge_done(&it->judge);
			assay_err_set(err, r, "cannot start a thread: %s", strerror(-r));
		}
	}
	if (r == 0 && (r = -pthread_create(&w->reader, NULL, run_reader, w)) < 0)
		assay_err_set(err, r, "cannot start a thread: %s", strerror(-r));
	w->has_reader = r == 0;
	*ret = w; /* also when it failed, so that what was started can be stopped */
	return r;
}

void workers_stop(struct workers *w)
{
	if (!w)
		return;
	/* The reader last: what the recorder opens for a worker still has to be let through. */
	for (uint32_t i = 0; i < w->n; i++) {
		pthread_join(w->worker[i].thread, NULL);
		judge_done(&w->worker[i].judge);
	}
	eventfd_write(w->stop_fd, 1);
	if (w->has_reader)
		pthread_join(w->reader, NULL);
	close(w->stop_fd);
	free(w);
}
