/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What spawner.c asks of the spawner's process, and how a process becomes a child. */
#pragma once

#include "programs/assayd/process/spawner.h"

enum spawner_message {
	SPAWNER_START = 1, /* id: role; descriptors: its socket, and what it is given */
	SPAWNER_FORKED,	   /* id: pid; its pidfd. It waits */
	SPAWNER_FAILED,	   /* id: errno; nothing was started */
	SPAWNER_GO,	   /* it may execute */
	SPAWNER_END,	   /* it must not */
};

/* Executes @program as a child, -1: this one: @socket becomes descriptor 3, @fds, at most
 * CHILD_ROLE_COUNT, those after it; one that is -1 is left out. Does not return. */
_Noreturn void child_exec(enum child_role role, int program, int socket, const int *fds,
			  size_t n_fds);

/* Serves until its socket ends; then all children are killed. It is given the programs, by role, or
 * nothing: then its own is that of all. */
int spawner_process(void);

/* What it, and whoever it starts, give up. Apart from spawner_process(), for what it links. */
int spawner_sandbox(void);
