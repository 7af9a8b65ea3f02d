/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What group.c, marks.c and forget.c share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "backends/source_fanotify/source_fanotify.h"

struct exempt_process {
	pid_t pid;
	int pidfd;  /* while it is open the kernel tells whether @pid is still this process */
	bool other; /* not one of ours */
};

struct assay_fanotify {
	int fd; /* -1: closed */
	/* Held for reading while a mark is set, for writing while the epoch grows. */
	pthread_rwlock_t marking;
	_Atomic uint64_t epoch;
	pthread_mutex_t forgetting; /* one at a time, and not while the group is closed */
	bool tells_errors; /* an event that could not be opened for us is one with an error */
	atomic_bool evictable;
	pthread_mutex_t exempting; /* guards these; held over no call that waits */
	struct exempt_process exempt[ASSAY_FANOTIFY_EXEMPT_MAX];
	size_t n_exempt;
	void (*opened)(void *ctx, int fd, int32_t tid, bool exec); /* by one of the others */
	void *opened_ctx;
	pid_t self;
	_Atomic uint64_t events, n_exempted, refused, overflows;
};
