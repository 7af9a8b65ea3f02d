/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What exempt processes run, asked of a process that can be killed (decision 0050): one question at
 * a time, and who asks waits for nothing. One that does not answer is killed, and the next question
 * goes to another. Knows nothing of who is exempt. For one thread.
 */
#pragma once

#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/vouch/vouch_msg.h"

struct vouch;

struct vouch_ops {
	/* Starts one, whose socket does not block; and what ends with its end. @digests: one that
	 * can do so, and takes more memory. */
	int (*start)(void *ctx, bool digests, struct child *ret, struct assay_err *err);
	void (*dismiss)(void *ctx, pid_t pid);
	void *ctx;
};

struct vouch_question {
	enum vouch_message type;
	pid_t pid;	     /* VOUCH_LISTENER: 1 */
	enum assay_hash alg; /* of VOUCH_RECORD */
	const char *tcti;    /* of VOUCH_LISTENER; borrowed during the call */
	bool digests;	     /* of one who can, as it is about to be asked to; VOUCH_RECORD: true */
	uint32_t patience_ms;
};

/* Starts nobody yet. Errors: -ENOMEM. */
int vouch_new(const struct vouch_ops *ops, struct vouch **ret);
void vouch_free(struct vouch *v); /* NULL allowed */

/* Readable when there is an answer; -1: nobody is there. */
int vouch_fd(const struct vouch *v);

/* Who listens is asked of one who was asked nothing before but that. Errors: -EBUSY another
 * question is not answered yet, -ETIMEDOUT who was asked about that process last was killed and has
 * not ended, -EAGAIN there is nobody to ask, for a while. */
int vouch_ask(struct vouch *v, const struct vouch_question *q, uint64_t now_ns);

/* The answer to the last question, once. Errors: -EAGAIN it has not come yet, -ENOENT none was
 * asked, -ETIMEDOUT it does not come, -EBADMSG or -EPIPE who was asked was not in his right mind,
 * or is gone. */
int vouch_hear(struct vouch *v, uint64_t now_ns, struct vouch_told *ret);

/* Milliseconds until vouch_hear() may give up, @most_ms at most. */
int vouch_wait_ms(const struct vouch *v, int most_ms);
