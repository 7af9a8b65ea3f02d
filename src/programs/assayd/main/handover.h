/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The old one's side of a hand-over (decision 0048): starts the program that is installed now and
 * gives it list, group and whoever waits; or goes on as before, if that one cannot. For the main
 * thread, but for handover_json().
 */
#pragma once

#include <jansson.h>

#include "programs/assayd/main/running.h"

/* @past: hand-overs since a start. Errors: -ENOMEM. */
int handover_new(struct running *r, uint64_t past, struct handover **ret, struct assay_err *err);
void handover_free(struct handover *h); /* NULL allowed */

/* From when it is wanted to its end. For any thread. */
bool handover_is_under_way(const struct handover *h);
/* Asked for by the control socket, when none is under way: handover_tend() begins. */
void handover_want(struct handover *h);

/* To poll, -1: nothing is under way. */
int handover_fd(const struct handover *h);
/*
 * Does what is to be done. While openers are held back it blocks, within bounds. Returns 1: another
 * process has it all, and this one is to end; 0: go on; -EINTR: asked to end, by a signal that is
 * still to be taken, before there was an anchor again; or -errno, with @err why there is nothing to
 * go on with.
 */
int handover_tend(struct handover *h, struct assay_err *err);

/* pidfd of the one that has it all; the caller's. Negative: there is none. */
int handover_successor(const struct handover *h);

/* What status says of it: NULL: out of memory. */
json_t *handover_json(struct handover *h);
