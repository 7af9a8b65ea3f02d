/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Another policy while the daemon runs: by SIGHUP, or written into the view. For the main thread.
 */
#pragma once

#include "programs/assayd/daemon.h"

/* SIGHUP. What cannot be loaded leaves the policy of before in force. */
void policy_change_reload(struct daemon *d);

/* Fills d->view, unless there is to be none; assayd does its work without one, too. */
void policy_change_start_view(struct daemon *d, int (*admit)(void *ctx, pid_t pid, int pidfd));
