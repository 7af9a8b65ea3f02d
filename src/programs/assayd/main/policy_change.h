/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Another policy while the daemon runs: by a reload, or written into the view. For the main thread.
 */
#pragma once

#include "programs/assayd/main/daemon.h"

/* @policy, if it could be loaded (@r 0), comes into force; else the one of before stays, and that
 * is in the list. Takes @policy. Waits some seconds at most. Returns 0 or why not; -EINPROGRESS:
 * not yet, but it will be as soon as the list takes the record of it; reload_end() is told. */
int policy_change_take(struct daemon *d, const char *name, const struct loaded_policy *policy,
		       int r, struct assay_err *err);

/* Fills d->view, unless there is to be none; assayd does its work without one, too. */
void policy_change_start_view(struct daemon *d, int (*admit)(void *ctx, pid_t pid, int pidfd));
