/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Says which filesystems are not watched: to the list, the log and the audit log, some of each type
 * by name within an hour, the others by number (decision 0035). For the main thread. */
#pragma once

#include "programs/assayd/main/filesystems.h"
#include "programs/assayd/main/tally.h"

struct daemon;

void uncovered_tell(struct tally *t, struct daemon *d, struct mounts_uncovered *what);
/* The numbers of those types whose hour is over, or of all. */
void uncovered_record_counts(struct tally *t, struct daemon *d, bool all);
