/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Closes files for who must not wait: the last descriptor of a file without a name gives its space
 * back, which waits while its filesystem is frozen. Those are closed by a thread, one after the
 * other; what waits there counts as held, so that descriptors do not run out.
 */
#pragma once

#include "programs/assayd/main/arrivals.h"

struct closer;

/* @arrivals: borrowed. Errors: -ENOMEM, -EAGAIN. */
int closer_new(struct arrivals *arrivals, struct closer **ret);
/* Takes @fd. One thread. */
void closer_close(struct closer *c, int fd);
/* What still waits after two seconds is left to the end of the process. NULL allowed. */
void closer_free(struct closer *c);
