/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lets threads that may wait use recording.h, which never waits: a thread of its own turns it, and
 * wakes each when its result has come. */
#pragma once

#include "engine/core/event.h"
#include "programs/assayd/recording.h"

struct anchor_wait;

struct anchor_wait_config {
	int socket;
	void (*anchored)(void *ctx, uint64_t upto, bool released);
	void (*segment)(void *ctx, enum assay_segment_start why);
	void (*gone)(void *ctx); /* the anchor is; before those who wait are told */
	void *ctx;
};

int anchor_wait_new(const struct anchor_wait_config *config, struct anchor_wait **ret,
		    struct assay_err *err);
/* When nobody waits any more. NULL allowed. */
void anchor_wait_free(struct anchor_wait *w);

/* As recorder_event(), but for @ret->match, which is the caller's to find. */
int anchor_wait_event(struct anchor_wait *w, const struct assay_facts *facts,
		      struct assay_decision *ret, struct assay_err *err);
void anchor_wait_gathered(struct anchor_wait *w);
bool anchor_wait_is_gone(struct anchor_wait *w);
