/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that run or are mapped already, and of which no event told: they are measured as late. What
 * is to be scanned is marked before, so that whatever starts or is mapped meanwhile raises an
 * event, and nothing falls between. Knows nothing of when to scan (late.h).
 */
#pragma once

#include <stdatomic.h>

#include "programs/assayd/main/daemon.h"

#define LATE_DEVICES_MAX 256u
#define LATE_MISSED_MAX	 256u

/* Files on these filesystems. */
struct late_wanted {
	bool all;      /* on any */
	bool overlays; /* there are overlays among them, whose files maps may show with the layers'
			  numbers */
	uint32_t n;
	uint64_t dev[LATE_DEVICES_MAX];
};

/* One that could not be opened. */
struct late_file {
	pid_t pid;
	uint64_t dev, ino; /* inode 0: all of the process, whose maps could not be read */
	uint32_t tries;
	uint64_t due_ns; /* when it is tried again */
};

struct late_scan {
	struct daemon *daemon;
	const struct late_wanted *wanted;
	const atomic_bool
		*ends; /* once it is set the daemon is not touched any more; NULL: never */
	uint32_t max_hung, max_wait_ms; /* as walker_job has them */
	uint32_t max_ms; /* for all of it, files that are digested included; 0: any */
	/* What came of it. */
	uint64_t n_processes, n_files, n_remote, n_unreadable, idle_ms;
	struct late_file missed[LATE_MISSED_MAX]; /* of the unreadable, those worth another try */
	uint32_t n_missed;
	uint64_t began_ms;
};

bool late_is_wanted(const struct late_wanted *w, uint64_t dev);

/* Returns when everything is in the list. Errors: what the recorder says, -ENOMEM, -ECANCELED: it
 * was to end, others as walker_run(): it did not come to its end. */
int late_scan(struct late_scan *s, struct assay_err *err);

enum late_outcome { LATE_MEASURED, LATE_MISSED, LATE_GONE };

/* @file once more. LATE_GONE: the process has ended, or maps it no more. */
enum late_outcome late_scan_file(struct late_scan *s, const struct late_file *file);
