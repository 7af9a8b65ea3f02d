/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main's hold on the anchor process: starts and ends it, and asks it what may wait for an answer.
 * Any thread may call; those that need the list alone do not wait behind those that wait for the
 * TPM. What must not wait at all is recording.h, over the socket of anchor_socket().
 */
#pragma once

#include "base/err.h"
#include "engine/ports.h"
#include "formats/conf.h"
#include "programs/assayd/main/policy_load.h"
#include "programs/assayd/anchor/recorder.h"
#include "programs/assayd/process/spawner.h"

struct anchor;

/* Called now and then while an anchor is waited for, in place of telling the manager that we live.
 * False: it is waited for no longer. */
struct anchor_wait {
	bool (*wait)(void *ctx);
	void *ctx;
};

struct anchor_config {
	const struct assay_conf *conf;
	const char *kernel_list; /* NULL: none */
	int list_dirfd;		 /* its folder */
	struct spawner *spawner;
	/* As spawner_start(). */
	int (*admit)(void *ctx, pid_t pid, int pidfd);
	void *ctx;
	/* For the start, and whoever waits for the list until anchor_started(); NULL: as long as
	 * it takes. */
	const struct anchor_wait *wait;
};

/* Starts the process, which finds its place in the list. Errors: as recorder_start(); -ECANCELED
 * @wait says so. */
int anchor_start(const struct anchor_config *config, struct anchor **ret, struct assay_err *err);

/* From here on who waits tells the manager nothing: before, it is main, which does nothing else. */
void anchor_started(struct anchor *a);

/* What is pending is anchored, a record @why of the end written and anchored, the process ended.
 * Nobody else may be calling. @wait: NULL: as long as it takes. */
void anchor_stop(struct anchor *a, const char *why, const struct anchor_wait *wait);
/* Who waits for the list gets -EPIPE, and nobody waits for it again. */
void anchor_cut(struct anchor *a);
/* Ends it as it is; what is pending is anchored by the next start. NULL allowed. */
void anchor_free(struct anchor *a);

int anchor_socket(const struct anchor *a); /* for recording_new(); non-blocking */
pid_t anchor_pid(const struct anchor *a);
const char *anchor_ek(const struct anchor *a); /* as anchor_ek_name() */
bool anchor_has_landlock(const struct anchor *a);

/* As the recorder's calls of the same name. All: -EPIPE the process is gone. These wait as long
 * as the list does not answer: for the start, and for the thread of records.h. */
int anchor_state(struct anchor *a, const char *what, void (*fill)(void *ctx, struct assay_wr *w),
		 void *ctx, struct assay_err *err);
int anchor_set_policy(struct anchor *a, const struct loaded_policy *policy, struct assay_err *err);
/* With @rest as it is. */
int anchor_state_text(struct anchor *a, const char *what, struct assay_bytes rest, bool gap,
		      struct assay_err *err);
/* recorder_counts(), over a line of its own that does not wait for an anchor that hangs:
 * -ETIMEDOUT, and *ret is what it said last. anchor_open_counts() first. */
int anchor_open_counts(struct anchor *a, struct assay_err *err);
int anchor_counts_within(struct anchor *a, int timeout_ms, struct recorder_counts *ret);
/* These wait for some seconds at most, -ETIMEDOUT. */
int anchor_await(struct anchor *a, uint64_t upto, uint32_t timeout_ms);
void anchor_ending(struct anchor *a);
/* A socket over which another process may ask for counts, PCRs and quotes, and for nothing else. It
 * is the caller's. Errors: -EAGAIN there are too many. */
int anchor_line(struct anchor *a, int *ret, struct assay_err *err);
