/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control socket: one thread that answers root's questions (docs/formats/control.md). */
#pragma once

#include "programs/assayd/daemon.h"

struct control;

/* Nobody else listens there. Errors: -EADDRINUSE another daemon does. */
int control_check(const char *path, struct assay_err *err);

/* Errors: errno of the socket calls. The folder is made if it is missing. */
int control_start(struct daemon *d, struct control **ret, struct assay_err *err);
void control_stop(struct control *c); /* NULL allowed */
