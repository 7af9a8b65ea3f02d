/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main's side of the process that looks for filesystems mounted in other mount namespaces only.
 * What it finds is handed on; a pass that hangs is ended with its process, and the place, or the
 * process that was looked at, left out until it is tried again: its server may answer by then, and
 * its numbers be another's. For the main thread.
 */
#pragma once

#include "programs/assayd/scout/scout_msg.h"
#include "programs/assayd/process/spawner.h"

struct scout_ops {
	/* A filesystem that is mounted elsewhere, @fd an O_PATH descriptor of it (borrowed), or -1
	 * with @reason why there is none. */
	void (*found)(void *ctx, const struct scout_mount *m, int fd, const char *reason);
	/* A pass is over: what was not in it is mounted nowhere any more. */
	void (*done)(void *ctx);
};

struct scout_state {
	uint32_t namespaces, filesystems; /* of the last pass */
	uint64_t window_ns; /* that a new mount may go unseen: from one pass's begin to the next's
			       end; longer while the next one does not end */
	/* Namespaces whose mounts the kernel tells of, and how long one may go unseen there;
	 * without any: window_ns. */
	uint32_t marked;
	uint64_t marked_window_ns;
	bool is_late;		       /* by far, so that somebody must look at it */
	uint32_t hung, hung_processes; /* places, and processes, that are left out for now */
};

struct scout_link;

/* Errors: -ENOMEM, as spawner_start(). */
int scout_new(struct spawner *spawner, const struct scout_ops *ops, void *ctx,
	      struct scout_link **ret, struct assay_err *err);
void scout_free(struct scout_link *s); /* NULL allowed */

int scout_fd(const struct scout_link *s); /* to poll; may change after each call below */
/* What has come. */
void scout_receive(struct scout_link *s);
/* Begins a pass when it is time, ends one that hangs. */
void scout_tick(struct scout_link *s, uint64_t now_ns);
/* Readable: scout_wake(); -1: not now. May change as scout_fd(). */
int scout_events_fd(const struct scout_link *s);
/* Something was mounted in another namespace: a pass begins before its time, when the last one is
 * not too near. */
void scout_wake(struct scout_link *s, uint64_t now_ns);
/* @ms, or less: until scout_tick() is to be called. */
int scout_pause(const struct scout_link *s, uint64_t now_ns, int ms);
/* The next pass need not wait for its time. */
void scout_hurry(struct scout_link *s);
/* A pass is under way. */
bool scout_is_looking(const struct scout_link *s);
/* For any thread. */
void scout_get_state(const struct scout_link *s, struct scout_state *ret);
