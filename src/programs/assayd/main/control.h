/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main's side of the process that listens (docs/formats/control.md): makes its sockets, answers
 * what it asks, and puts another one in its place when it ends. For the main thread.
 */
#pragma once

#include <jansson.h>

#include "programs/assayd/main/daemon.h"

struct control;

/* Nobody else listens there. Errors: -EADDRINUSE another daemon does. */
int control_check(const char *path, struct assay_err *err);

/* @wake_fd: eventfd of the main thread, written when control_tend() has something to do; borrowed.
 * Errors: errno of the socket calls, spawner_start(). The folder is made if it is missing. A public
 * socket that cannot be had is logged, and no error. */
int control_start(struct daemon *d, int wake_fd, struct control **ret, struct assay_err *err);
void control_stop(struct control *c); /* NULL allowed */
/* Nobody is answered, and the anchor not asked, until control_resume(); who connects waits. If that
 * fails it is tried again by control_tend(). */
void control_pause(struct control *c);
void control_resume(struct control *c);

/* Starts another one if it has ended, after a pause that grows. True: somebody wants the
 * configuration read again, and control_reloaded() is to be called. */
bool control_tend(struct control *c);
/* Takes @result, which all who have asked get; NULL: out of memory. */
void control_reloaded(struct control *c, json_t *result);

/* There should be a public socket, and is none. For any thread. */
bool control_lacks_public(const struct control *c);
