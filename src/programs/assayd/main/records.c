/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/records.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/fmt.h"
#include "formats/batch.h"
#include "programs/assayd/process/log.h"

#define COUNTED_MAX (64u + 4 * RECORDS_VALUE_MAX) /* bytes of a record of what found no room */

enum state {
	AT_ONCE, /* who puts it writes it */
	RUNS,
	PAUSED,
};

/* One that waits, or is being written. */
struct entry {
	struct entry *next;
	struct record record;		 /* but for @fill and @value */
	const struct records_call *call; /* NULL: a record */
	int error;
	size_t len;
	uint8_t rest[];
};

/* What found no room. */
struct kind {
	const char *event, *key;
	char value[RECORDS_VALUE_MAX];
	bool gap;
	uint64_t count, add;
	_Atomic uint64_t *total; /* which grows by @add */
};

struct records {
	struct records_ops ops;
	pthread_mutex_t lock;
	pthread_cond_t more; /* for the thread */
	pthread_cond_t less; /* for who waits for it */
	pthread_t thread;
	bool has_thread;
	/* With the lock. */
	enum state state;
	bool ends;
	struct entry *first, **last;
	size_t n, bytes;
	bool writes; /* one that is not in the queue any more */
	struct kind kind[RECORDS_KINDS];
	size_t n_kinds;
	struct entry *done; /* for main; the newest is the first */
	/* The call that is put, or being run, or done. */
	struct records_call call;
	bool has_call, waits_for_call;
	int call_returned;
	struct assay_err call_err;
};

/* ---- writing -------------------------------------------------------------------------------- */

static void tell(const struct record *what, const struct assay_err *err)
{
	if (what->gap)
		log_line(LOG_ERR, "a gap is not in the list (%s): %s", what->event, err->text);
	else
		log_line(LOG_ERR, "a record is not in the list (%s): %s", what->event, err->text);
}

/* A long path of bytes that are written \xHH does not fit: the gap counts, not its name. */
static int write_record(struct records *r, const struct record *what, struct assay_bytes rest)
{
	struct assay_err err = { 0 };
	int rc = r->ops.write(r->ops.ctx, what->event, rest, what->gap, &err);

	if (rc == -E2BIG && what->gap)
		rc = r->ops.write(r->ops.ctx, what->event, assay_bytes(NULL, 0), true, &err);
	if (rc < 0 && !what->failed)
		tell(what, &err);
	if (what->total)
		atomic_fetch_add(what->total, what->count);
	return rc;
}

static void write_kind(struct records *r, const struct kind *k)
{
	const struct record what = {
		.event = k->event, .gap = k->gap, .count = k->add, .total = k->total
	};
	uint8_t rest[COUNTED_MAX];
	struct assay_wr w = assay_wr(rest, sizeof(rest));

	if (k->key)
		assay_state_add(&w, k->key, assay_bytes_str(k->value));
	assay_state_add_u64(&w, "count", k->count);
	(void)write_record(r, &what, assay_wr_done(&w));
}

/* ---- the thread: all with the lock, but for the writing ------------------------------------- */

static struct entry *take_first(struct records *r)
{
	struct entry *e = r->first;

	r->first = e->next;
	if (!r->first)
		r->last = &r->first;
	r->n--;
	r->bytes -= e->len;
	return e;
}

/* Those that found no room come behind those that had it. */
static bool kind_is_next(const struct records *r)
{
	return r->n_kinds && r->n <= RECORDS_MAX / 2;
}

static void write_next_kind(struct records *r)
{
	struct kind k = r->kind[0];

	memmove(r->kind, r->kind + 1, --r->n_kinds * sizeof(k));
	pthread_mutex_unlock(&r->lock);
	write_kind(r, &k);
	pthread_mutex_lock(&r->lock);
}

static void end_call(struct records *r, int rc, const struct assay_err *err)
{
	r->call_returned = rc;
	r->call_err = *err;
	if (r->waits_for_call)
		r->has_call = false;
}

/* What somebody wants to know about goes to main. */
static void write_next(struct records *r)
{
	struct entry *e = take_first(r);
	struct assay_err err = { 0 };

	pthread_mutex_unlock(&r->lock);
	if (e->call)
		e->error = e->call->run(e->call->ctx, &err);
	else
		e->error = write_record(r, &e->record, assay_bytes(e->rest, e->len));
	pthread_mutex_lock(&r->lock);
	if (e->call)
		end_call(r, e->error, &err);
	if (e->call ? r->has_call : e->error < 0 && e->record.failed) {
		e->next = r->done;
		r->done = TAKE(e);
		eventfd_write(r->ops.wake_fd, 1);
	}
	free(e);
}

static void *run(void *arg)
{
	struct records *r = arg;

	pthread_mutex_lock(&r->lock);
	while (!r->ends) {
		if (r->state == PAUSED || (!r->n && !r->n_kinds)) {
			pthread_cond_wait(&r->more, &r->lock);
			continue;
		}
		r->writes = true;
		if (kind_is_next(r))
			write_next_kind(r);
		else
			write_next(r);
		r->writes = false;
		pthread_cond_broadcast(&r->less);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ---- from the start to the end -------------------------------------------------------------- */

int records_new(const struct records_ops *ops, struct records **ret)
{
	struct records *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;

	if (!r)
		return -ENOMEM;
	r->ops = *ops;
	r->last = &r->first;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->more, &attr);
	pthread_cond_init(&r->less, &attr);
	pthread_condattr_destroy(&attr);
	*ret = r;
	return 0;
}

static void free_all(struct entry *e)
{
	struct entry *next;

	for (; e; e = next) {
		next = e->next;
		free(e);
	}
}

void records_free(struct records *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->ends = true;
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->lock);
	if (r->has_thread)
		pthread_join(r->thread, NULL);
	free_all(r->first);
	free_all(r->done);
	pthread_cond_destroy(&r->less);
	pthread_cond_destroy(&r->more);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void set_state(struct records *r, enum state state)
{
	pthread_mutex_lock(&r->lock);
	r->state = state;
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->lock);
}

int records_begin(struct records *r)
{
	int rc = -pthread_create(&r->thread, NULL, run, r);

	r->has_thread = rc == 0;
	if (rc == 0)
		set_state(r, RUNS);
	return rc;
}

void records_pause(struct records *r)
{
	if (r->has_thread)
		set_state(r, PAUSED);
}

void records_resume(struct records *r)
{
	if (r->has_thread)
		set_state(r, RUNS);
}

/* ---- putting -------------------------------------------------------------------------------- */

static bool has_room(const struct records *r, size_t len)
{
	return r->n < RECORDS_MAX && len <= RECORDS_BYTES_MAX - r->bytes;
}

static void append(struct records *r, struct entry *e)
{
	*r->last = e;
	r->last = &e->next;
	r->n++;
	r->bytes += e->len;
	pthread_cond_signal(&r->more);
}

/* Somebody may choose the values: when there are many, the others are one. */
static struct kind *find_kind(struct records *r, const struct record *what)
{
	struct kind k = { .event = what->event, .key = what->key, .gap = what->gap };
	bool many = r->n_kinds >= RECORDS_KINDS / 2;

	if (what->key)
		assay_fmt(k.value, sizeof(k.value), "%s", many ? "other" : what->value);
	for (size_t i = 0; i < r->n_kinds; i++)
		if (strcmp(r->kind[i].event, k.event) == 0 && r->kind[i].key == k.key &&
		    strcmp(r->kind[i].value, k.value) == 0)
			return &r->kind[i];
	if (r->n_kinds == RECORDS_KINDS)
		return NULL;
	r->kind[r->n_kinds] = k;
	return &r->kind[r->n_kinds++];
}

static int count(struct records *r, const struct record *what)
{
	struct kind *k = what->count ? find_kind(r, what) : NULL;

	if (!k)
		return -ENOBUFS;
	k->count += what->count;
	if (what->total) {
		k->total = what->total;
		k->add += what->count;
	}
	return 0;
}

static struct entry *make_entry(const struct record *what, struct assay_bytes rest)
{
	struct entry *e = malloc(sizeof(*e) + rest.len);

	if (!e)
		return NULL;
	*e = (struct entry){ .record = *what, .len = rest.len };
	if (rest.len)
		memcpy(e->rest, rest.data, rest.len);
	return e;
}

static int enqueue(struct records *r, const struct record *what, struct assay_bytes rest)
{
	struct entry *e = make_entry(what, rest);
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	if (e && has_room(r, rest.len))
		append(r, TAKE(e));
	else
		rc = count(r, what);
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->lock);
	free(e);
	return rc;
}

/* main's alone: nobody else sets it. */
static bool is_at_once(struct records *r)
{
	bool at_once;

	pthread_mutex_lock(&r->lock);
	at_once = r->state == AT_ONCE;
	pthread_mutex_unlock(&r->lock);
	return at_once;
}

int records_put(struct records *r, const struct record *what)
{
	uint8_t text[ASSAY_STATE_SIZE_MAX];
	struct assay_wr w = assay_wr(text, sizeof(text));
	struct assay_bytes rest = { 0 };

	if (what->fill)
		what->fill(what->ctx, &w);
	if (assay_wr_ok(&w))
		rest = assay_wr_done(&w);
	else if (!what->gap)
		return -E2BIG;
	return is_at_once(r) ? write_record(r, what, rest) : enqueue(r, what, rest);
}

bool records_have_room(struct records *r)
{
	bool room;

	pthread_mutex_lock(&r->lock);
	room = has_room(r, ASSAY_STATE_SIZE_MAX);
	pthread_mutex_unlock(&r->lock);
	return room;
}

/* ---- calls ---------------------------------------------------------------------------------- */

/* False: it is not in the queue any more. */
static bool withdraw(struct records *r)
{
	for (struct entry **at = &r->first; *at; at = &(*at)->next) {
		struct entry *e = *at;

		if (!e->call)
			continue;
		*at = e->next;
		if (!*at)
			r->last = at;
		r->n--;
		free(e);
		return true;
	}
	return false;
}

static bool wait_for_less(struct records *r, const struct timespec *until)
{
	return pthread_cond_timedwait(&r->less, &r->lock, until) == 0;
}

/* With the lock, which it waits without. */
static int await_call(struct records *r, const struct timespec *until, struct assay_err *err)
{
	r->waits_for_call = true;
	while (r->has_call && wait_for_less(r, until))
		;
	r->waits_for_call = false;
	if (!r->has_call) {
		if (err)
			*err = r->call_err;
		return r->call_returned;
	}
	if (!withdraw(r))
		return assay_err_set(
			err, -EINPROGRESS,
			"the list has not taken the record yet: it counts when it has");
	r->has_call = false;
	return assay_err_set(err, -ETIMEDOUT, "the process with the list does not answer");
}

int records_run(struct records *r, const struct records_call *call, int timeout_ms,
		struct assay_err *err)
{
	const struct timespec until =
		assay_clock_at(assay_clock_ns() + (uint64_t)timeout_ms * 1000000u);
	struct entry *e;
	int rc;

	if (is_at_once(r))
		return call->run(call->ctx, err);
	if (!(e = calloc(1, sizeof(*e))))
		return assay_err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_lock(&r->lock);
	if (r->has_call) {
		rc = assay_err_set(err, -EBUSY, "the list has not taken the record before yet");
	} else {
		r->call = *call;
		r->has_call = true;
		e->call = &r->call;
		append(r, TAKE(e));
		rc = await_call(r, &until, err);
	}
	pthread_mutex_unlock(&r->lock);
	free(e);
	return rc;
}

/* ---- for main ------------------------------------------------------------------------------- */

static void end_entry(struct records *r, const struct entry *e)
{
	struct records_call call;
	struct assay_err err;

	if (!e->call) {
		e->record.failed(e->record.failed_ctx, e->record.about, e->error);
		return;
	}
	pthread_mutex_lock(&r->lock);
	call = r->call;
	err = r->call_err;
	r->has_call = false;
	pthread_mutex_unlock(&r->lock);
	call.done(call.ctx, e->error, &err);
}

void records_tend(struct records *r)
{
	struct entry *e, *next;

	pthread_mutex_lock(&r->lock);
	e = TAKE(r->done);
	pthread_mutex_unlock(&r->lock);
	for (; e; e = next) {
		next = e->next;
		end_entry(r, e);
		free(e);
	}
}

static bool is_empty(const struct records *r)
{
	return r->n == 0 && r->n_kinds == 0 && !r->writes;
}

bool records_drain(struct records *r, int timeout_ms)
{
	const struct timespec until =
		assay_clock_at(assay_clock_ns() + (uint64_t)timeout_ms * 1000000u);
	bool empty;

	pthread_mutex_lock(&r->lock);
	while (!is_empty(r) && wait_for_less(r, &until))
		;
	empty = is_empty(r);
	pthread_mutex_unlock(&r->lock);
	return empty;
}

uint32_t records_waiting(struct records *r)
{
	uint32_t n;

	pthread_mutex_lock(&r->lock);
	n = (uint32_t)(r->n + r->n_kinds + r->writes);
	pthread_mutex_unlock(&r->lock);
	return n;
}
