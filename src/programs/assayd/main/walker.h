/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main's side of the process that looks for what runs and is mapped already. A process whose memory
 * map cannot be read is waited for as long as is bearable, then the walker is killed, and
 * another one goes on behind it. What it hands over is checked: it may be in an enemy's hands.
 */
#pragma once

#include "programs/assayd/main/late_scan.h"
#include "programs/assayd/main/maps.h"

struct walker_job {
	struct daemon *daemon;
	const struct late_wanted *wanted;
	const atomic_bool *ends; /* as late_scan has it; may be NULL */
	pid_t first, last;
	uint64_t dev, ino; /* no other file, as maps shows it; inode 0: all */
	bool again;	   /* they may be known to hang: they have less patience from us */
	/* Then it ends; 0: no matter how many, how long. */
	uint32_t max_hung;    /* processes */
	uint32_t max_wait_ms; /* all words together: who hangs a little may do it often */
	/* As maps_walk() has them. A process that hangs is one whose maps cannot be read. */
	int (*each)(void *ctx, const struct maps_file *file);
	void (*unreadable)(void *ctx, const struct maps_file *file, int error);
	void *ctx;
	/* What came of it. */
	uint64_t n_processes, n_remote;
	uint32_t n_hung;
	uint64_t idle_ms; /* of its time: waiting for processes that hang, or nearly */
};

/*
 * Any thread, one at a time. Errors: what @each returned below 0, -ECANCELED it was to end,
 * -ETIMEDOUT @max_hung have hung, or @max_wait_ms are over, -ENOMEM, as spawner_start(), -EBUSY
 * walkers that were killed do not end, -EPIPE a walker ended, or said nothing, before it began.
 */
int walker_run(struct walker_job *job, struct assay_err *err);
