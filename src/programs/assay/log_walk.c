/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A list in chunks. Where the next record begins, and what a PCR holds after it, are known only one
 * after the other; what a record is by itself is not. So whoever is free cuts the next chunk, one
 * at a time, and computes its template digests while others cut on; the caller's thread takes
 * finished chunks in list order, which is where the PCR chain is followed, and cuts and computes
 * too when the next is not finished. One job is simply the caller's thread alone.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "programs/assay/log.h"

#define CHUNK_RECORDS 64u /* small enough for a second-level cache, with the records' own bytes */
#define CHUNKS_EACH   8u  /* chunks that can wait, for each thread */
#define JOBS_MAX      64u

struct chunk {
	bool done;	      /* under the lock */
	uint32_t n, good;     /* records; those without an error, from the first on */
	uint64_t first;	      /* number of the first */
	struct assay_err err; /* of record @good, if good < n */
	uint64_t offset[CHUNK_RECORDS];
	struct assay_record record[CHUNK_RECORDS];
	struct assay_record_digests digests[CHUNK_RECORDS];
};

struct pool {
	const struct log_walk *walk;
	pthread_mutex_t cutting; /* in, records, parse_err; taken before the lock */
	struct assay_rd in;
	uint64_t records;
	struct assay_err parse_err; /* code not 0: nothing can be cut behind it */
	pthread_mutex_t lock;	    /* what follows, and which chunks are done */
	pthread_cond_t room, done;
	uint64_t head, tail; /* chunks taken by the caller, and begun, so far */
	bool ended;	     /* no chunk will be begun any more */
	struct chunk *chunks;
	unsigned n_chunks, n_threads;
	pthread_t thread[JOBS_MAX];
};

unsigned log_walk_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : (unsigned)n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
}

/* ---- cutting and computing: any thread ------------------------------------------------------ */

static bool has_room(const struct pool *p)
{
	return !p->ended && p->tail - p->head < p->n_chunks;
}

/* The chunk that comes next, or NULL: there is no room. By who cuts. */
static struct chunk *begin(struct pool *p)
{
	struct chunk *c = NULL;

	pthread_mutex_lock(&p->lock);
	if (has_room(p)) {
		c = &p->chunks[p->tail++ % p->n_chunks];
		c->done = false;
	}
	pthread_mutex_unlock(&p->lock);
	return c;
}

static void end(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->ended = true;
	pthread_cond_broadcast(&p->room);
	pthread_mutex_unlock(&p->lock);
}

/* Cuts the next chunk; NULL: no room. */
static struct chunk *cut(struct pool *p)
{
	struct chunk *c;

	pthread_mutex_lock(&p->cutting);
	c = begin(p);
	if (c) {
		c->first = p->records;
		for (c->n = 0; c->n < CHUNK_RECORDS && !assay_rd_end(&p->in); c->n++) {
			c->offset[c->n] = assay_rd_offset(&p->in);
			if (assay_record_parse(&p->in, &p->walk->checker->form, &c->record[c->n],
					       &p->parse_err) < 0)
				break;
		}
		p->records += c->n;
		if (c->n < CHUNK_RECORDS)
			end(p);
	}
	pthread_mutex_unlock(&p->cutting);
	return c;
}

static void compute(struct chunk *c, struct assay_checker *checker, bool extends)
{
	for (c->good = 0; c->good < c->n; c->good++) {
		uint32_t i = c->good;
		int r = assay_checker_record(checker, &c->record[i], &c->digests[i], &c->err);

		if (r == 0 && extends)
			r = assay_checker_extends(checker, &c->record[i], &c->digests[i], &c->err);
		if (r < 0)
			return;
	}
}

static void produce(struct pool *p, struct assay_checker *checker)
{
	const atomic_bool *waiting = p->walk->waiting;
	struct chunk *c = cut(p);

	if (!c)
		return;
	compute(c, checker, !waiting || !atomic_load_explicit(waiting, memory_order_relaxed));
	pthread_mutex_lock(&p->lock);
	c->done = true;
	pthread_cond_signal(&p->done);
	pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
	struct pool *p = arg;
	struct assay_checker checker = *p->walk->checker;

	pthread_mutex_lock(&p->lock);
	while (!p->ended) {
		if (!has_room(p)) {
			pthread_cond_wait(&p->room, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		produce(p, &checker);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- in list order: the caller's thread ----------------------------------------------------- */

/* The oldest chunk once it is done, NULL at the end. */
static struct chunk *next(struct pool *p, struct assay_checker *checker)
{
	struct chunk *c = NULL;

	pthread_mutex_lock(&p->lock);
	while (p->head < p->tail || !p->ended) {
		c = &p->chunks[p->head % p->n_chunks];
		if (p->head < p->tail && c->done)
			break;
		c = NULL;
		if (!has_room(p)) {
			pthread_cond_wait(&p->done, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		produce(p, checker);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return c;
}

/* The others are woken for several chunks at a time. */
static void give_back(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->head++;
	if (p->tail - p->head == p->n_chunks / 2)
		pthread_cond_broadcast(&p->room);
	pthread_mutex_unlock(&p->lock);
}

static int take(const struct log_walk *w, struct chunk *c, struct assay_err *err)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < c->good; i++)
		r = w->record(w->ctx, &c->record[i], c->offset[i], &c->digests[i], err);
	if (r == 0 && c->good < c->n)
		r = assay_err_at(err, c->err.code, c->offset[c->good], "entry %llu: %s",
				 (unsigned long long)(c->first + c->good), c->err.text);
	return r;
}

static int run(struct pool *p, struct assay_err *err)
{
	struct assay_checker checker = *p->walk->checker;
	struct chunk *c;
	int r = 0;

	while (r == 0 && (c = next(p, &checker))) {
		r = take(p->walk, c, err);
		give_back(p);
	}
	if (r == 0 && p->parse_err.code)
		r = assay_err_at(err, p->parse_err.code, p->parse_err.offset, "entry %llu: %s",
				 (unsigned long long)p->records, p->parse_err.text);
	return r;
}

static void start(struct pool *p, unsigned jobs)
{
	pthread_mutex_init(&p->cutting, NULL);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->room, NULL);
	pthread_cond_init(&p->done, NULL);
	/* A thread that cannot be had is one job fewer. */
	while (p->n_threads + 1 < jobs &&
	       pthread_create(&p->thread[p->n_threads], NULL, work, p) == 0)
		p->n_threads++;
}

static void stop(struct pool *p)
{
	end(p);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->room);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->cutting);
	free(p->chunks);
}

int log_walk_run(const struct log_walk *walk, struct assay_err *err)
{
	struct pool p = { .walk = walk, .in = assay_rd(walk->list) };
	unsigned jobs = walk->jobs > JOBS_MAX ? JOBS_MAX : walk->jobs;
	int r;

	p.n_chunks = jobs * CHUNKS_EACH;
	p.chunks = calloc(p.n_chunks, sizeof(p.chunks[0]));
	if (!p.chunks)
		return assay_err_set(err, -ENOMEM, "out of memory");
	start(&p, jobs);
	r = run(&p, err);
	stop(&p);
	return r;
}
