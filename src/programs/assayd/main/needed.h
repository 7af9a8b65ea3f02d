/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exempts those that assayd, or the journal that it writes to, may wait for (decision 0050), looks
 * for them again when they have ended, and has what they open measured afterwards. What they run is
 * asked of a process that can be killed: who calls waits for none of them. For the main thread, but
 * for what is for who asks.
 */
#pragma once

#include <jansson.h>

#include "programs/assayd/main/daemon.h"

struct needed;

/* Exempts what the configuration names and what is found now; waits for what they run to be told,
 * seconds at most. After the group and the anchor, and before the first mark. Errors: -ENOMEM, of
 * exempt_pid: -ESRCH, -ETIMEDOUT what it runs cannot be seen, and others. */
int needed_new(struct daemon *d, struct needed **ret, struct assay_err *err);
void needed_free(struct needed *n); /* NULL allowed; after the reader, before the spawner */

/* Now and then: when there is something to read at needed_fd(), and after the milliseconds that it
 * returns, at most @most_ms. */
int needed_tend(struct needed *n, uint64_t now_ns, int most_ms);
int needed_fd(const struct needed *n); /* -1: nothing comes */

/* The record of that exemption could not be written: it is one no more. */
void needed_unrecorded(struct needed *n, pid_t pid, int error);

/* Who is exempt: name and process. NULL: out of memory. */
json_t *needed_json(struct needed *n);
uint32_t needed_count(struct needed *n);
/* Those who are, or should be, and whom nobody can look at. */
uint32_t needed_unseen(const struct needed *n);
/* What they opened and is not measured: too much, or too large. */
uint64_t needed_unmeasured(const struct needed *n);
