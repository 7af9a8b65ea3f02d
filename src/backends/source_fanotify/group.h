/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What group.c, marks.c, forget.c and renew.c share. There is one group of the kernel's that marks
 * go to, the current one. Others were replaced by it (renew.c) and are read until nobody waits
 * there.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "backends/source_fanotify/reach.h"
#include "backends/source_fanotify/source_fanotify.h"

struct exempt_process {
	pid_t pid;
	int pidfd; /* while it is open the kernel tells whether @pid is still this process */
};

#define GROUPS 3u

struct kernel_group {
	atomic_int fd; /* -1: none */
	_Atomic uint32_t unanswered;
	atomic_bool retired;
	uint64_t retired_ns;
	bool unmarked; /* the reader's: no new events come */
};

struct assay_fanotify {
	int poll_fd;  /* epoll of all groups and the timer */
	int timer_fd; /* ticks while a retired group is there */
	struct kernel_group group[GROUPS];
	atomic_uint current; /* changed with marking held for writing */
	/* Held for reading while a group is used by others than the reader, which holds it for
	 * writing when it closes one. */
	pthread_rwlock_t closing;
	/* Held for reading while a mark is set, for writing while the epoch grows. */
	pthread_rwlock_t marking;
	_Atomic uint64_t epoch;
	/* One at a time, and not while filesystems are marked or all is closed. */
	pthread_mutex_t forgetting;
	atomic_bool
		tells_errors; /* an event that could not be opened for us is one with an error */
	atomic_bool evictable;
	struct exempt_process exempt[ASSAY_FANOTIFY_EXEMPT_MAX];
	size_t n_exempt;
	pid_t self;
	_Atomic uint64_t events, n_exempted, refused, overflows;
};

static inline int current_fd(const struct assay_fanotify *f)
{
	return atomic_load(&f->group[atomic_load(&f->current)].fd);
}

/* ---- group.c */
/* Opens a group of the kernel's; returns it or -errno. */
int assay_fanotify_open_group(struct assay_fanotify *f);
/* Reads it from now on. */
int assay_fanotify_poll_group(struct assay_fanotify *f, int fd);

/* ---- forget.c */
/* Calls @line for each line about a mark of the group, which the kernel lists all at once. */
int assay_fanotify_list_marks(int fd, void (*line)(void *ctx, struct assay_bytes line), void *ctx);

/* ---- renew.c */
/* Another group takes the place of the current one, without its inodes' marks; @forgetting is held.
 * Errors: -EXDEV a filesystem cannot be marked again, -EBUSY too many are retired and not empty. */
int assay_fanotify_renew(struct assay_fanotify *f, struct assay_reach *reach);
/* For the reader: closes what is retired, has waited long enough and was @drained (bit per group).
 */
void assay_fanotify_close_retired(struct assay_fanotify *f, unsigned drained);
