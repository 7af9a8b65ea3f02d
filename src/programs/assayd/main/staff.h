/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts the workers, and others in place of those that died; and what else is exempt until it is
 * in its sandbox. For the main thread. */
#pragma once

#include "programs/assayd/main/daemon.h"

#define STAFF_DYING_MAX 128u

struct staff {
	struct daemon *daemon;
	uint64_t not_before_ns; /* monotonic */
	uint32_t pause_ms;	/* after the next one that does not live; 0: the first */
	uint64_t started_ns;
	int dying[STAFF_DYING_MAX]; /* pidfds of those that were killed and have not ended */
	uint32_t n_dying;
};

/* All of them. Errors: the spawner's, -ETIMEDOUT one does not come up. */
int staff_start(struct staff *s, struct daemon *d, struct assay_err *err);
/* For peek_new(), after staff_start(): one that has said @ready, with a socket that does not block.
 * @ctx: the staff. Errors: as there, -EAGAIN too many do not end. */
int staff_start_child(void *ctx, enum child_role role, uint32_t ready, struct child *ret,
		      struct assay_err *err);
/* Buries who is gone and starts another; call when the loop wakes this thread, and after the
 * milliseconds that it returns, at most @most_ms. */
int staff_tend(struct staff *s, struct daemon *d, int most_ms);
