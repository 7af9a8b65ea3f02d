/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A list in chunks: the caller's thread cuts records and, in list order, takes finished chunks;
 * other threads compute the template digests of chunks between. Whoever has nothing to take helps
 * computing, so one job is simply the caller's thread alone.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "programs/assay/log.h"

#define CHUNK_RECORDS 64u /* small enough for a second-level cache */
#define CHUNKS_EXTRA  2u  /* chunks that wait, beside one for each thread */
#define JOBS_MAX      64u

enum chunk_state { CHUNK_FREE, CHUNK_FILLED, CHUNK_TAKEN, CHUNK_DONE };

struct chunk {
	enum chunk_state state; /* under the lock */
	uint32_t n, good;	/* records; those without an error, from the first on */
	uint64_t first;		/* number of the first */
	struct assay_err err;	/* of record @good, if good < n */
	uint64_t offset[CHUNK_RECORDS];
	struct assay_record record[CHUNK_RECORDS];
	struct assay_record_digests digests[CHUNK_RECORDS];
};

struct pool {
	const struct log_walk *walk;
	pthread_mutex_t lock; /* states, head, tail, stop */
	pthread_cond_t filled, done;
	struct chunk *chunks;
	unsigned n_chunks, n_threads;
	uint64_t head, tail; /* chunks taken by the caller, and filled, so far */
	bool stop;
	struct assay_rd in;
	uint64_t records;
	struct assay_err parse_err; /* code not 0: nothing can be cut behind it */
	pthread_t thread[JOBS_MAX];
};

unsigned log_walk_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : (unsigned)n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
}

static void compute(struct chunk *c, struct assay_checker *checker)
{
	for (c->good = 0; c->good < c->n; c->good++) {
		uint32_t i = c->good;

		if (assay_checker_digests(checker, &c->record[i], &c->digests[i], &c->err) < 0)
			return;
	}
}

/* The oldest chunk that nobody has, or NULL. Under the lock. */
static struct chunk *claim(struct pool *p)
{
	for (uint64_t i = p->head; i < p->tail; i++) {
		struct chunk *c = &p->chunks[i % p->n_chunks];

		if (c->state != CHUNK_FILLED)
			continue;
		c->state = CHUNK_TAKEN;
		return c;
	}
	return NULL;
}

static void *work(void *arg)
{
	struct pool *p = arg;
	struct assay_checker checker = *p->walk->checker;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct chunk *c = claim(p);

		if (!c) {
			pthread_cond_wait(&p->filled, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		compute(c, &checker);
		pthread_mutex_lock(&p->lock);
		c->state = CHUNK_DONE;
		pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Cuts the next records into the next chunk. False: there are no more, or no free chunk. */
static bool fill(struct pool *p)
{
	struct chunk *c = &p->chunks[p->tail % p->n_chunks];

	if (p->tail - p->head == p->n_chunks || p->parse_err.code || assay_rd_end(&p->in))
		return false;
	c->first = p->records;
	for (c->n = 0; c->n < CHUNK_RECORDS && !assay_rd_end(&p->in); c->n++) {
		c->offset[c->n] = assay_rd_offset(&p->in);
		if (assay_record_parse(&p->in, &p->walk->checker->form, &c->record[c->n],
				       &p->parse_err) < 0)
			break;
	}
	p->records += c->n;
	pthread_mutex_lock(&p->lock);
	c->state = CHUNK_FILLED;
	p->tail++;
	pthread_cond_signal(&p->filled);
	pthread_mutex_unlock(&p->lock);
	return true;
}

/* The oldest chunk, computed by whoever gets to it first. */
static struct chunk *finish_head(struct pool *p, struct assay_checker *checker)
{
	struct chunk *c = &p->chunks[p->head % p->n_chunks];
	bool ours;

	pthread_mutex_lock(&p->lock);
	ours = c->state == CHUNK_FILLED;
	if (ours)
		c->state = CHUNK_TAKEN;
	while (!ours && c->state != CHUNK_DONE)
		pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (ours)
		compute(c, checker);
	return c;
}

static int take(struct pool *p, struct chunk *c, struct assay_err *err)
{
	const struct log_walk *w = p->walk;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < c->good; i++)
		r = w->record(w->ctx, &c->record[i], c->offset[i], &c->digests[i], err);
	if (r == 0 && c->good < c->n)
		r = assay_err_at(err, c->err.code, c->offset[c->good], "entry %llu: %s",
				 (unsigned long long)(c->first + c->good), c->err.text);
	pthread_mutex_lock(&p->lock);
	c->state = CHUNK_FREE;
	p->head++;
	pthread_mutex_unlock(&p->lock);
	return r;
}

static int run(struct pool *p, struct assay_err *err)
{
	struct assay_checker checker = *p->walk->checker;
	int r = 0;

	while (r == 0) {
		while (fill(p))
			;
		if (p->head == p->tail)
			break;
		r = take(p, finish_head(p, &checker), err);
	}
	if (r == 0 && p->parse_err.code)
		r = assay_err_at(err, p->parse_err.code, p->parse_err.offset, "entry %llu: %s",
				 (unsigned long long)p->records, p->parse_err.text);
	return r;
}

static void stop(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->filled);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->filled);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	free(p->chunks);
}

int log_walk_run(const struct log_walk *walk, struct assay_err *err)
{
	struct pool p = { .walk = walk, .in = assay_rd(walk->list) };
	unsigned jobs = walk->jobs > JOBS_MAX ? JOBS_MAX : walk->jobs;
	int r;

	p.n_chunks = jobs + CHUNKS_EXTRA;
	p.chunks = calloc(p.n_chunks, sizeof(p.chunks[0]));
	if (!p.chunks)
		return assay_err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&p.lock, NULL);
	pthread_cond_init(&p.filled, NULL);
	pthread_cond_init(&p.done, NULL);
	/* A thread that cannot be had is one job fewer. */
	while (p.n_threads + 1 < jobs &&
	       pthread_create(&p.thread[p.n_threads], NULL, work, &p) == 0)
		p.n_threads++;
	r = run(&p, err);
	stop(&p);
	return r;
}
