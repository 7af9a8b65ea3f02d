/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker processes as main's loop sees them: files are given out and findings come back, each
 * checked against what was asked of that process. Knows nothing of events or policies. For one
 * thread, but for crew_join() and crew_take_gone(). Never blocks.
 */
#pragma once

#include "programs/assayd/process/spawner.h"
#include "programs/assayd/worker/worker_msg.h"

#define CREW_BIG_SIZE (4ull << 20) /* bytes; a longer file has its worker for itself */

struct crew;
struct crew_member;

struct crew_job {
	struct worker_job job;
	int fd;	       /* borrowed until crew_flush() */
	uint64_t size; /* that is expected */
	bool alone;    /* no other file shall be with it: it may kill its reader, or take long */
};

/* They must not call the crew. */
struct crew_ops {
	/* Of crew_give(). It was checked: complete, and of the algorithm that was asked for. */
	void (*found)(void *ctx, const struct worker_finding *f);
	/* Nobody reads it any more. @died: the worker did, or lied; it may be the file's doing. */
	void (*lost)(void *ctx, uint64_t id, bool died);
};

/* @n: workers at most that may all read big files at once; one more is kept for small ones. Two and
 * that one are there always, others while there is need of them, and a minute longer. @epoll_fd:
 * where their sockets are polled; @wake_fd: eventfd, written when somebody is gone or missing. Both
 * borrowed.
 */
int crew_new(uint32_t n, const struct crew_ops *ops, void *ctx, int epoll_fd, int wake_fd,
	     struct crew **ret);
void crew_free(struct crew *c); /* closes all ends; NULL allowed */

/* What has come from one of them; @ptr is from its epoll event, of which none is older than the
 * last call of anything else here. */
void crew_receive(struct crew *c, void *ptr);

/* False: all have enough to do, try again after the next finding. */
bool crew_give(struct crew *c, const struct crew_job *job);
/* Sends what was given. */
void crew_flush(struct crew *c);
/* @id is not wanted any more: neither of the ops is called for it. */
void crew_cancel(struct crew *c, uint64_t id);

/* Takes in who has joined, ends who does not let go of what was cancelled, takes files back from
 * who is stuck. Returns when to call it again (monotonic), UINT64_MAX: when something was given. */
uint64_t crew_tick(struct crew *c, uint64_t now_ns);

/* After a time in which nobody listened to them. */
void crew_resume(struct crew *c);

/* ---- another thread ---------------------------------------------------------------------------
 */

/* How many workers there may be at most. */
uint32_t crew_most(const struct crew *c);
/* How many workers are missing, of those that there is need of. */
uint32_t crew_missing(struct crew *c);
/* Takes @child, whose socket must not block. Errors: -ENOMEM (it stays the caller's). */
int crew_join(struct crew *c, const struct child *child);
/* One that is gone or was given up; the caller ends and closes it. False: none. */
bool crew_take_gone(struct crew *c, struct child *ret);
