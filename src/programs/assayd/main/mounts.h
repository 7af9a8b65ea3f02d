/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which filesystems are watched, which are not and why. For the main thread; mounts_list(),
 * mounts_covered() and mounts_uncovered() for any. */
#pragma once

#include "programs/assayd/main/daemon.h"
#include "programs/assayd/main/filesystems.h"
#include "programs/assayd/scout/scout_msg.h"

/* Errors: -ENOMEM, errno of /proc/self/mountinfo. */
int mounts_new(struct daemon *d, struct mounts **ret, struct assay_err *err);
void mounts_free(struct mounts *m); /* NULL allowed */

/* Polls with POLLPRI when mounts have changed. */
int mounts_fd(const struct mounts *m);
/* Some that could not be reached are to be tried again: mounts_scan(). */
bool mounts_are_due(const struct mounts *m);

/* Marks what the policy can match and is not marked yet; what it cannot mark is recorded. Called
 * again when mounts or the policy change. Errors: -EINVAL a mount= that cannot be watched. */
int mounts_scan(struct mounts *m, struct assay_err *err);

/* The same for filesystems that are mounted in other mount namespaces only (scout.h): one that was
 * found, and the end of a pass, after which those that were not found are forgotten. */
void mounts_found_elsewhere(struct mounts *m, const struct scout_mount *what, int fd,
			    const char *reason);
void mounts_end_elsewhere(struct mounts *m);
/* Of some it takes another pass to say whether they can be watched: overlays that are new, since
 * what may lie below them has to be known first. */
bool mounts_are_undecided(const struct mounts *m);

/* Records how many were not watched beyond those that got a record of their own (tally.h): those
 * whose time is over, or all. */
void mounts_record_counts(struct mounts *m, bool all);

/* All that are known; as filesystems_list(). */
int mounts_list(struct mounts *m, struct filesystems_list *ret);

uint32_t mounts_covered(struct mounts *m); /* how many are */
/* At most @max of those that are not; returns how many there are. */
uint32_t mounts_uncovered(struct mounts *m, struct mounts_uncovered *ret, uint32_t max);
