/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that reads what is opened: descriptors in, digests out, and no rights beside. What it
 * says is checked by main's loop, as any of these files may have taken it over.
 */
#pragma once

/* Serves CHILD_SOCKET until it ends; returns the status to exit with. */
int worker_process(void);

/* Enters the sandbox of a worker. Returns 0 or -errno; it is said on stderr then. (Tests.) */
int worker_sandbox(void);
