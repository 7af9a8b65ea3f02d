/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measures late, while assayd runs: what ran already on a filesystem that was marked after the
 * start, and files that could not be opened when they were met. A thread of its own, as a scan
 * takes long and may wait; how often it scans has a bound, as anybody can mount filesystems.
 */
#pragma once

#include "programs/assayd/main/late_scan.h"

struct late;

/* Errors: -ENOMEM, -EAGAIN. */
int late_new(struct daemon *d, struct late **ret, struct assay_err *err);
/* Ends the thread; nothing is measured any more. Before the loop ends. NULL allowed, here and
 * below. */
void late_end(struct late *l);
void late_free(struct late *l);

/* The filesystem @dev, which is marked, is new. Any thread. */
void late_want(struct late *l, uint64_t dev, bool is_overlay);
/* All of them: a scan did not come to its end. */
void late_want_all(struct late *l);
/* Those that @s could not open are tried again: while the kernel breaks a lease (45 s), and a while
 * longer. */
void late_want_again(struct late *l, const struct late_scan *s);

/* For the main thread: what came of it is recorded, now and then, or all of it at the end. */
void late_record(struct late *l, bool all);
/* Files that ran before they were watched and are not measured. Any thread. */
uint64_t late_unmeasured(struct late *l);
/* The last scan did not come to its end; it is tried again. Any thread. */
bool late_fails(struct late *l);
