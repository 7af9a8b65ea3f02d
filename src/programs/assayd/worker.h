/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads that do the jobs, and the one that reads them. */
#pragma once

#include "programs/assayd/daemon.h"

struct workers;

/* Starts the reader and @n workers. Errors: -ENOMEM, -EAGAIN. */
int workers_start(struct daemon *d, uint32_t n, struct workers **ret, struct assay_err *err);
/* After jobs_close(). Ends the threads, frees. NULL allowed. */
void workers_stop(struct workers *w);
