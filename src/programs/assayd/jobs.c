/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/source_fanotify/object.h"
#include "engine/core/event.h"

#define STARTS_MAX 32 /* jobs begun before one that was begun is gone on with */

struct queue {
	struct job *first, **last;
};

struct jobs {
	struct jobs_config config;
	pthread_mutex_t lock;
	pthread_cond_t ready_cond, room_cond, arrived_cond;
	struct queue fresh, fetching, ready, waiting;
	uint32_t starts; /* since the last one of those that are fetching */
	struct job *oldest, *newest;
	uint32_t n;
	_Atomic uint32_t unjudged; /* on their way to the recorder */
	uint64_t anchored;
	struct late_answer *late;
	uint64_t n_late; /* not taken yet; the first JOBS_LATE_MAX have an entry in @late */
	bool closed, deadline_sleeps;
	pthread_t deadline;
};

uint64_t jobs_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_add(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
}

static struct job *queue_take(struct queue *q)
{
	struct job *job = q->first;

	if (job && !(q->first = job->next))
		q->last = &q->first;
	return job;
}

/* @queue: one that workers take from. */
static void make_ready(struct jobs *j, struct queue *queue, struct job *job)
{
	queue_add(queue, job);
	pthread_cond_signal(&j->ready_cond);
}

/* Moves those whose time has come from waiting to ready; the order of each stays. */
static void release_waiting(struct jobs *j)
{
	struct queue all = j->waiting;
	struct job *job, *next;

	queue_init(&j->waiting);
	for (job = all.first; job; job = next) {
		next = job->next;
		if (!j->closed && !atomic_load(&job->answered) &&
		    job->findings.wait_for >= j->anchored) {
			queue_add(&j->waiting, job);
			continue;
		}
		make_ready(j, &j->ready, job);
	}
}

/* ---- the deadline --------------------------------------------------------------------------- */

static void note_late(struct jobs *j, const struct job *job, uint64_t now)
{
	struct late_answer *late = NULL;
	struct stat st;

	if (j->n_late++ < JOBS_LATE_MAX)
		late = calloc(1, sizeof(*late));
	if (!late)
		return;
	if (fstat(job->event.fd, &st) < 0 || assay_object_path(job->event.fd, &st, late->path) < 0)
		late->path[0] = '\0';
	late->waited_ms = (now - job->arrived_ns) / 1000000u;
	late->at_end = j->closed;
	late->next = j->late;
	j->late = late;
}

/* False: it was answered already. */
static bool answer_early(struct jobs *j, struct job *job, uint64_t now)
{
	if (atomic_exchange(&job->answered, true))
		return false;
	assay_fanotify_answer(j->config.group, job->event.fd, j->config.deadline_allows);
	note_late(j, job, now);
	return true;
}

/* Answers what is overdue, before anything that could wait. Returns when the next one is due, 0:
 * nobody waits. */
static uint64_t answer_overdue(struct jobs *j)
{
	const uint64_t limit = (uint64_t)j->config.deadline_ms * 1000000u;
	uint64_t now = jobs_now_ns();
	bool any = false;
	struct job *job;

	for (job = j->oldest; job && now - job->arrived_ns >= limit; job = job->newer)
		any |= answer_early(j, job, now);
	if (any) {
		release_waiting(j);
		eventfd_write(j->config.wake_fd, 1);
	}
	while (job && atomic_load(&job->answered))
		job = job->newer;
	return job ? job->arrived_ns + limit : 0;
}

/* Nobody who comes while it sleeps is due before it wakes, so that nobody need wake it: but one
 * that slept in vain sleeps until somebody does. */
static void *run_deadline(void *arg)
{
	struct jobs *j = arg;
	bool in_vain = false;

	pthread_mutex_lock(&j->lock);
	while (!j->closed) {
		uint64_t due = answer_overdue(j);
		uint64_t until =
			due ? due : jobs_now_ns() + (uint64_t)j->config.deadline_ms * 1000000u;
		struct timespec t = { .tv_sec = (time_t)(until / 1000000000u),
				      .tv_nsec = (long)(until % 1000000000u) };

		j->deadline_sleeps = due == 0 && in_vain;
		if (j->deadline_sleeps)
			pthread_cond_wait(&j->arrived_cond, &j->lock);
		else
			pthread_cond_timedwait(&j->arrived_cond, &j->lock, &t);
		in_vain = due == 0 && !j->deadline_sleeps;
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

/* ---- jobs ----------------------------------------------------------------------------------- */

int jobs_new(const struct jobs_config *config, struct jobs **ret)
{
	struct jobs *j = calloc(1, sizeof(*j));
	pthread_condattr_t monotonic;

	if (!j)
		return -ENOMEM;
	j->config = *config;
	queue_init(&j->fresh);
	queue_init(&j->fetching);
	queue_init(&j->ready);
	queue_init(&j->waiting);
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&j->ready_cond, NULL);
	pthread_cond_init(&j->room_cond, NULL);
	pthread_cond_init(&j->arrived_cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (config->deadline_ms && pthread_create(&j->deadline, NULL, run_deadline, j) != 0) {
		free(j);
		return -ENOMEM;
	}
	*ret = j;
	return 0;
}

void jobs_free(struct jobs *j)
{
	struct late_answer *late, *next;

	if (!j)
		return;
	for (late = j->late; late; late = next) {
		next = late->next;
		free(late);
	}
	pthread_cond_destroy(&j->ready_cond);
	pthread_cond_destroy(&j->room_cond);
	pthread_cond_destroy(&j->arrived_cond);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

size_t jobs_room(struct jobs *j, size_t most)
{
	size_t room;

	pthread_mutex_lock(&j->lock);
	while (!j->closed && j->n >= j->config.max)
		pthread_cond_wait(&j->room_cond, &j->lock);
	room = j->closed ? most : j->config.max - j->n;
	pthread_mutex_unlock(&j->lock);
	return room < most ? room : most;
}

/* With the lock. */
static void add(struct jobs *j, struct job *job)
{
	job->older = j->newest;
	*(j->newest ? &j->newest->newer : &j->oldest) = job;
	if (j->deadline_sleeps) {
		j->deadline_sleeps = false;
		pthread_cond_signal(&j->arrived_cond);
	}
	j->newest = job;
	j->n++;
	atomic_fetch_add(&j->unjudged, 1);
	make_ready(j, &j->fresh, job);
}

void jobs_add(struct jobs *j, const struct assay_fanotify_event *event)
{
	struct job none = { .event = *event, .arrived_ns = jobs_now_ns() };
	struct job *job = calloc(1, sizeof(*job));

	if (job) {
		*job = none;
		job->findings.wait_for = ASSAY_NO_RECORD;
	}
	pthread_mutex_lock(&j->lock);
	if (job && !j->closed) {
		add(j, job);
		job = NULL;
		none.event.fd = -1;
	} else {
		answer_early(j, &none, none.arrived_ns);
		eventfd_write(j->config.wake_fd, 1);
	}
	pthread_mutex_unlock(&j->lock);
	if (none.event.fd >= 0)
		close(none.event.fd);
	free(job);
}

/* Who can be answered, then who can be begun, then who was: but the last are not put off for ever
 * by a stream of the others. */
static struct job *take(struct jobs *j)
{
	struct job *job = queue_take(&j->ready);

	if (job)
		return job;
	if (!j->fresh.first || (j->fetching.first && j->starts >= STARTS_MAX)) {
		j->starts = 0;
		return queue_take(&j->fetching);
	}
	j->starts++;
	job = queue_take(&j->fresh);
	job->in_company = j->fresh.first || j->fetching.first;
	return job;
}

struct job *jobs_take(struct jobs *j)
{
	struct job *job;

	pthread_mutex_lock(&j->lock);
	while (!(job = take(j)) && !(j->closed && j->n == 0))
		pthread_cond_wait(&j->ready_cond, &j->lock);
	pthread_mutex_unlock(&j->lock);
	return job;
}

void jobs_put(struct jobs *j, struct job *job)
{
	atomic_fetch_add(&j->unjudged, 1);
	pthread_mutex_lock(&j->lock);
	make_ready(j, &j->ready, job);
	pthread_mutex_unlock(&j->lock);
}

void jobs_fetch(struct jobs *j, struct job *job)
{
	pthread_mutex_lock(&j->lock);
	make_ready(j, &j->fetching, job);
	pthread_mutex_unlock(&j->lock);
}

bool jobs_judged(struct jobs *j)
{
	return atomic_fetch_sub(&j->unjudged, 1) == 1;
}

bool jobs_any_unjudged(struct jobs *j)
{
	return atomic_load(&j->unjudged) > 0;
}

void jobs_wait(struct jobs *j, struct job *job)
{
	pthread_mutex_lock(&j->lock);
	if (j->closed || atomic_load(&job->answered) || job->findings.wait_for < j->anchored) {
		make_ready(j, &j->ready, job);
	} else {
		queue_add(&j->waiting, job);
	}
	pthread_mutex_unlock(&j->lock);
}

void jobs_anchored(struct jobs *j, uint64_t upto)
{
	pthread_mutex_lock(&j->lock);
	if (upto > j->anchored)
		j->anchored = upto;
	release_waiting(j);
	pthread_mutex_unlock(&j->lock);
}

void jobs_answer(struct jobs *j, struct job *job, bool allow)
{
	if (!atomic_exchange(&job->answered, true))
		assay_fanotify_answer(j->config.group, job->event.fd, allow);
}

void jobs_end(struct jobs *j, struct job *job)
{
	pthread_mutex_lock(&j->lock);
	*(job->older ? &job->older->newer : &j->oldest) = job->newer;
	*(job->newer ? &job->newer->older : &j->newest) = job->older;
	if (j->n-- == j->config.max)
		pthread_cond_signal(&j->room_cond);
	if (j->closed && j->n == 0)
		pthread_cond_broadcast(&j->ready_cond);
	pthread_mutex_unlock(&j->lock);
	close(job->event.fd);
	free(job);
}

struct late_answer *jobs_take_late(struct jobs *j, uint64_t *ret_n)
{
	struct late_answer *late;

	pthread_mutex_lock(&j->lock);
	late = j->late;
	*ret_n = j->n_late;
	j->late = NULL;
	j->n_late = 0;
	pthread_mutex_unlock(&j->lock);
	return late;
}

void jobs_close(struct jobs *j)
{
	bool first;

	pthread_mutex_lock(&j->lock);
	first = !j->closed;
	j->closed = true;
	for (struct job *job = j->oldest; job; job = job->newer)
		answer_early(j, job, jobs_now_ns());
	release_waiting(j);
	pthread_cond_broadcast(&j->ready_cond);
	pthread_cond_broadcast(&j->room_cond);
	pthread_cond_broadcast(&j->arrived_cond);
	pthread_mutex_unlock(&j->lock);
	if (first && j->config.deadline_ms)
		pthread_join(j->deadline, NULL);
}

uint32_t jobs_open(struct jobs *j)
{
	uint32_t n;

	pthread_mutex_lock(&j->lock);
	n = j->n;
	pthread_mutex_unlock(&j->lock);
	return n;
}
