/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events on their way from reader to answer. One lock guards all queues; nothing is done under it
 * that could wait. Each opener is answered exactly once: by the worker that ends its job, or by the
 * deadline, whichever is first. Knows nothing of digests or records.
 */
#pragma once

#include <stdatomic.h>

#include "backends/source_fanotify/inflight.h"
#include "backends/source_fanotify/source_fanotify.h"
#include "formats/hash.h"

/* What a worker has found out about the file of a job. */
struct findings {
	bool leased;	      /* nobody has written since before the digest */
	bool has_digest;      /* of the content, true while the opener waited */
	int64_t size;	      /* before the lease was taken */
	uint32_t ignore_bits; /* events that the kernel may answer from now on */
	uint64_t epoch;	      /* of the group, when it was judged */
	uint64_t wait_for;    /* record, or ASSAY_NO_RECORD */
	struct assay_digest digest;
};

struct job {
	struct assay_inflight_node node; /* first: waiters come back as nodes */
	struct assay_fanotify_event event;
	uint64_t arrived_ns; /* monotonic */
	bool owns_inode;     /* others wait behind it */
	bool in_company;     /* others wait too */
	bool fetched;	     /* its content was asked for */
	bool judged;	     /* what is left: mark, answer, end */
	struct findings findings;
	atomic_bool answered;
	/* jobs.c alone, under its lock */
	struct job *next, *older, *newer;
};

#define JOBS_LATE_MAX 64u /* openers whose files are named */

/* Who was answered before the file was measured, for the gap entry. */
struct late_answer {
	char path[4096];
	uint64_t waited_ms;
	bool at_end; /* not by the deadline, but as assayd ends */
	struct late_answer *next;
};

struct jobs_config {
	struct assay_fanotify *group;
	uint32_t max;	      /* events held at once */
	uint32_t deadline_ms; /* 0: none */
	bool deadline_allows;
	int wake_fd; /* eventfd, written when there are late answers to take */
};

struct jobs;

/* Errors: -ENOMEM. The deadline has a thread of its own. */
int jobs_new(const struct jobs_config *config, struct jobs **ret);
/* After jobs_close(), and when no thread uses it. */
void jobs_free(struct jobs *j);

/* How many events may be read now; blocks while it is none, but never once it is closed. */
size_t jobs_room(struct jobs *j, size_t most);
/* For the reader; the descriptor is no longer the caller's. Who cannot be kept (no memory, or it is
 * closed) is answered as at the deadline, and counted with those. */
void jobs_add(struct jobs *j, const struct assay_fanotify_event *event);

/* The next job to do; blocks. NULL: closed and nothing is left. */
struct job *jobs_take(struct jobs *j);
/* Back to the queue, to be judged. */
void jobs_put(struct jobs *j, struct job *job);
/* Back to the queue, behind those that nothing was begun for: its content is on its way. */
void jobs_fetch(struct jobs *j, struct job *job);
/* Back to the queue once its record is anchored. */
void jobs_wait(struct jobs *j, struct job *job);
/* All records below @upto are anchored. */
void jobs_anchored(struct jobs *j, uint64_t upto);

/* One job was judged, or waits behind another of its inode until jobs_put(). True: no other is on
 * its way to the recorder. */
bool jobs_judged(struct jobs *j);
bool jobs_any_unjudged(struct jobs *j);

/* Answers, unless the deadline has. */
void jobs_answer(struct jobs *j, struct job *job, bool allow);
/* Frees it with its descriptor; answered already. */
void jobs_end(struct jobs *j, struct job *job);

/* *ret_n: how many there are since the last call; of the first JOBS_LATE_MAX, if there was memory,
 * a chain that the caller frees. */
struct late_answer *jobs_take_late(struct jobs *j, uint64_t *ret_n);

/* Everybody who waits is answered as at the deadline, and no job is taken on. Workers end what is
 * there. */
void jobs_close(struct jobs *j);

uint64_t jobs_now_ns(void);
uint32_t jobs_open(struct jobs *j); /* events held now */
