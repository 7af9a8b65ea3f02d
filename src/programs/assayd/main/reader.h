/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread that reads events. It answers exempt processes, passes the others on, and does nothing
 * else: it opens, logs and hashes nothing, and waits for nobody but the kernel. So an exempt
 * process is answered whatever the others wait for.
 */
#pragma once

#include "programs/assayd/main/arrivals.h"
#include "programs/assayd/main/deadline.h"
#include "programs/assayd/main/held.h"
#include "programs/assayd/main/ledger.h"
#include "programs/assayd/main/pulse.h"

struct reader;

struct reader_config {
	struct assay_fanotify *group;
	struct arrivals *arrivals;
	struct ledger *ledger;
	const struct deadline *deadline; /* of those that are held back */
	struct held *held;		 /* as reader_hold(), from the first event on; NULL: none */
	struct turns *turns; /* how often it has looked around: once a second, or more */
};

/* Errors: -ENOMEM, -EAGAIN. */
int reader_start(const struct reader_config *config, struct reader **ret, struct assay_err *err);
/* One that stands still, as PULSE_END_NS says, is the end of this process: let_all_go(). NULL
 * allowed. */
void reader_stop(struct reader *r);

/* From now on nobody is passed on: who is not exempt is put into @held (borrowed until
 * reader_stop()), and answered when its deadline has come. */
void reader_hold(struct reader *r, struct held *held);
/* Who is held back, from now on, is answered as if that had come. */
void reader_hurry(struct reader *r);
