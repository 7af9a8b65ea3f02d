/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The new one's side of a hand-over (decision 0048): what it says to the old one over the socket
 * that it was started with, and where the descriptors go. Knows nothing of what the daemon does
 * with them. For the main thread.
 */
#pragma once

#include "programs/assayd/main/handover_msg.h"
#include "programs/assayd/main/held.h"

struct takeover;

/* Before anything else has a descriptor. Errors: -EBADMSG nobody is there who hands over,
 * -EOPNOTSUPP another version, -EMFILE... */
int takeover_begin(struct takeover **ret, struct assay_err *err);
void takeover_free(struct takeover *t); /* NULL allowed; the old one goes on, unless it is done */

/* Opens of @pid are answered by the old one at once, until it is done. */
int takeover_exempt(struct takeover *t, pid_t pid);
/* All is there but what only one can have. On return nobody has the list. Errors: -EPIPE, -EBADMSG,
 * -ETIMEDOUT. */
int takeover_take_list(struct takeover *t, struct assay_err *err);
/* The list is ours. On return the group is, and nobody else has it; whoever waits is in @held, to
 * be answered by the numbers that it has here. */
int takeover_take_group(struct takeover *t, struct assay_fanotify *group, struct held *held,
			struct handover_group *ret, struct assay_err *err);
/* No way back any more: the old one is going, or gone. */
bool takeover_is_done(const struct takeover *t);
/* Until the old one is gone with its sockets and mounts, or for a while. */
void takeover_await_end(struct takeover *t);
/* What the old one is to say of us. */
void takeover_fail(struct takeover *t, const char *why);
