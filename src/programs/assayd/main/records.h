/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What main has to say in the list. While assayd runs main only puts it here, and a thread writes
 * it, which waits for a list that stalls; before that, whoever puts waits. Bounded: what finds no
 * room is counted by its kind, and the counts are written behind the records that took the room.
 * Knows nothing of what the records are about. Decision 67.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/wr.h"

#define RECORDS_MAX	  512u
#define RECORDS_BYTES_MAX (256u << 10) /* of what they say */
#define RECORDS_KINDS	  64u
#define RECORDS_VALUE_MAX 32u /* bytes of a kind's value, NUL included; longer ones are cut */

struct records;

struct records_ops {
	/* Writes it, and may wait for that. */
	int (*write)(void *ctx, const char *event, struct assay_bytes rest, bool gap,
		     struct assay_err *err);
	void *ctx;
	int wake_fd; /* eventfd, written when there is something for records_tend() */
};

struct record {
	const char *event;			     /* borrowed for good, as @key is */
	void (*fill)(void *ctx, struct assay_wr *w); /* called by records_put(); NULL: no more */
	void *ctx;
	bool gap; /* out of the reserved space; if it is too long, without what @fill adds */
	/* That there was no room for it is a record of its own kind, with @key=@value (NULL:
	 * without) and the sum of @count. 0: there is none, and the caller is told. */
	uint64_t count;
	const char *key, *value;
	_Atomic uint64_t *total; /* grows by @count once that is written; NULL: none */
	/* By records_tend(): it was put, and could not be written. NULL: that is logged. */
	void (*failed)(void *ctx, uint64_t about, int error);
	void *failed_ctx;
	uint64_t about;
};

/* Errors: -ENOMEM. */
int records_new(const struct records_ops *ops, struct records **ret);
/* Ends the thread; what it writes just then has to come to an end. NULL allowed. */
void records_free(struct records *r);

/* From here on nobody who puts waits. Errors: of pthread_create(). */
int records_begin(struct records *r);
/* Nothing is written from here on, until records_resume(): what is put waits. After
 * records_drain(). */
void records_pause(struct records *r);
void records_resume(struct records *r);

/* Errors: -E2BIG; before records_begin() those of write(); then -ENOBUFS, if @count is 0. */
int records_put(struct records *r, const struct record *what);
/* Something that is counted by who puts it need not be put now, as it would find no room. */
bool records_have_room(struct records *r);

/* One call in its place between the records; one at a time. */
struct records_call {
	int (*run)(void *ctx, struct assay_err *err); /* in the thread; may wait */
	/* By records_tend(), if nobody has waited for its end. */
	void (*done)(void *ctx, int error, struct assay_err *err);
	void *ctx;
};

/* Waits for its end, but no longer than @timeout_ms. Errors: those of run(); -ETIMEDOUT, -EBUSY: it
 * was not begun, and will not be; -EINPROGRESS: it was, and done() will be called. */
int records_run(struct records *r, const struct records_call *call, int timeout_ms,
		struct assay_err *err);

/* What is done, for who has put it. */
void records_tend(struct records *r);

/* Until all is written; false: it is not, after @timeout_ms. */
bool records_drain(struct records *r, int timeout_ms);
/* How many are not written yet, those that are counted together as one. Any thread. */
uint32_t records_waiting(struct records *r);
