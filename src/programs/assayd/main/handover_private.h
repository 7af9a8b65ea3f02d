/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the old one's side of a hand-over share: handover.c its steps, handover_peer.c
 * what is said to the new one and heard of it, handover_back.c the way back. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "programs/assayd/main/handover.h"
#include "programs/assayd/main/handover_msg.h"
#include "programs/assayd/main/held.h"
#include "programs/assayd/process/ipc.h"

#define HANDOVER_EXEMPT_MAX 16u
#define HANDOVER_TAKE_MS    5000
#define HANDOVER_ANSWER_MS  5000 /* the anchor, if its TPM is well */

enum handover_state { HANDOVER_IDLE, HANDOVER_WANTED, HANDOVER_UNDER_WAY };

struct handover {
	struct running *r;
	struct child child; /* socket -1: nothing is under way */
	uint64_t due_ns;
	uint32_t floor; /* 0: it has not said it */
	pid_t exempt[HANDOVER_EXEMPT_MAX];
	size_t n_exempt;
	struct held held;
	uint64_t held_ns;
	bool held_back; /* openers are */
	bool is_to_end; /* the new one */
	struct ipc_buffer in;
	_Atomic enum handover_state state;
	/* For status. */
	pthread_mutex_t lock;
	uint64_t past, failed;
	char reason[HANDOVER_REASON_MAX + 1];
};

/* ---- the new one: handover_peer.c ---- */

int handover_begin(struct handover *h, struct assay_err *err);
/* It is dead on return, or as good as that. */
void handover_end_child(struct handover *h);
int handover_say(struct handover *h, enum handover_type type, uint64_t id);
/* The next message: its type, or -errno. What it may say at any time is done here. */
int handover_hear(struct handover *h, struct assay_err *err);
/* Until it has said @type. What it has said in time is heard, whenever we come to it. */
int handover_await(struct handover *h, enum handover_type type, int timeout_ms,
		   struct assay_err *err);

/* ---- while others wait: handover_back.c ---- */

/* For anchor_start() and anchor_stop(), of a struct handover: what is to be done while the anchor
 * is waited for. False: the TPM hangs, and we are asked to end. */
bool handover_wait(void *ctx);
/* True: the opener goes on. */
bool handover_answer_early(struct handover *h, const struct held_event *e);
/* Who was held back is worked on again, as before. Errors: -EINTR asked to end before the TPM had
 * answered; others: there is nothing to go on with. */
int handover_go_back(struct handover *h, struct assay_err *err);
