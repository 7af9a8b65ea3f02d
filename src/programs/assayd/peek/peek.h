/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel says of an opener under a lock that the opener's owner can hold (decision 61),
 * asked of processes that can be killed: the loop waits for some milliseconds and never longer. One
 * that does not answer is killed, and another takes its place. The loop asks, the main thread
 * starts.
 */
#pragma once

#include "programs/assayd/peek/peek_msg.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/spawner.h"

struct peek;

struct peek_ops {
	/* Starts one that has said @ready and blocks no more. Errors: as spawner_start(). */
	int (*start)(void *ctx, enum child_role role, uint32_t ready, struct child *ret,
		     struct assay_err *err);
	void *ctx;
	int wake_fd; /* eventfd of who calls peek_tend(); borrowed */
	/* For tests; 0: what decision 61 says. */
	int patience_ms;		  /* for each answer of whose user has not hung */
	uint64_t (*clock)(void);	  /* when somebody hung; not how long is waited */
	uint32_t (*user_of)(int32_t tid); /* as assay_opener_user() */
};

/* With its processes. Errors: -ENOMEM, of start(). */
int peek_new(const struct peek_ops *ops, struct peek **ret, struct assay_err *err);
void peek_free(struct peek *p); /* NULL allowed */

/* Main thread, when the loop wakes it and after the milliseconds that it returns, at most @most_ms:
 * others in place of those that were killed. */
int peek_tend(struct peek *p, uint64_t now_ns, int most_ms);

/* Loop: who @tid is and what its held system call asks for. Errors: -ETIMEDOUT it cannot be had in
 * time. */
int peek_opener(struct peek *p, int32_t tid, struct peek_opener *ret);
/* Loop: adds what assay_audit_subject_slow() does; texts are borrowed from @buffer. Errors: as
 * there. */
int peek_audit(struct peek *p, int32_t tid, struct ipc_buffer *buffer, struct assay_audit *ret);

/* Any thread: nobody has looked for ten seconds. */
bool peek_is_blind(const struct peek *p);
/* Any thread: questions that were not answered in time, or not asked for that. */
uint64_t peek_unanswered(const struct peek *p);
