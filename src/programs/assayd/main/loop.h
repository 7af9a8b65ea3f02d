/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread that takes each file from its event to its answer. It never blocks: what reads the
 * file is a worker's, what waits for the medium or the TPM the recorder's. Its state is its own,
 * so that there are no locks in it.
 */
#pragma once

#include "programs/assayd/main/arrivals.h"
#include "programs/assayd/main/crew.h"
#include "programs/assayd/main/daemon.h"
#include "programs/assayd/main/held.h"
#include "programs/assayd/main/ledger.h"

struct loop;

struct loop_config {
	struct daemon *daemon;
	struct arrivals *arrivals;
	struct ledger *ledger; /* of openers that went on unmeasured */
	uint32_t n_workers;    /* crew_new() */
	int wake_fd; /* eventfd of the thread that looks at loop_crew() and news; borrowed */
};

/* Before SIGIO is unblocked anywhere: leases are broken by it. */
int loop_new(const struct loop_config *config, struct loop **ret, struct assay_err *err);
/* The thread. @recording_fd: the anchor process's socket, borrowed. Errors: -ENOMEM, -EAGAIN. */
int loop_start(struct loop *l, int recording_fd, struct assay_err *err);
/* Everybody who waits is answered as at the deadline, nobody is taken on any more; ends the
 * thread. NULL allowed, here and below. */
void loop_close(struct loop *l);
/* When the reader has ended too: answers what it brought last. */
void loop_end(struct loop *l);
void loop_free(struct loop *l);

/* Ends the thread without an answer: whoever waits is put into @ret, or answered as at the deadline
 * if there is no room; nobody may use the anchor's socket after it. loop_start() begins anew. */
void loop_leave(struct loop *l, struct held *ret);
/* When the reader has ended too: what it brought last. */
void loop_leave_rest(struct loop *l, struct held *ret);

/* For the other thread. */
struct crew *loop_crew(struct loop *l);
void loop_wake(struct loop *l);
/* The thread runs; ret_turns: has turned so often. */
bool loop_is_turning(const struct loop *l, uint64_t *ret_turns);
/* A new segment began since the last call: verdicts of before no longer hold. */
bool loop_take_segment(struct loop *l);
/* What records is gone, and the thread has ended by itself. */
bool loop_has_failed(struct loop *l);

/* Files that are measured though whoever opened them has gone on. */
uint32_t loop_idle_left(struct loop *l);
/* Files that are looked at as they run already: how many are under way, and the first error that
 * the recorder answered one of them with. */
uint32_t loop_late_left(struct loop *l);
int loop_late_error(struct loop *l); /* the first since it was asked last, and no longer */
/* eventfd, written when one of them is done. */
int loop_late_fd(struct loop *l);
/* Takes @fd (also if it fails). Errors: -ENOMEM. */
int loop_late_add(struct loop *l, int fd, int32_t pid, bool exec);
