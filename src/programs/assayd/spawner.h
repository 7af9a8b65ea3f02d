/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starts the daemon's other processes from one that never has the fanotify group (decision 0040).
 * Used by main's housekeeping thread alone.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

/* Each re-executes assayd as "assayd --child ROLE", with its socket as descriptor 3 and what it is
 * given from 4 on. */
enum child_role {
	CHILD_SPAWNER,
	CHILD_WORKER,
	CHILD_ANCHOR,
	CHILD_CONTROL,
	CHILD_VIEW,
	CHILD_ROLE_COUNT,
};
const char *child_role_name(enum child_role role);

#define CHILD_SOCKET  3
#define CHILD_FDS     4 /* the first of those that it is given */
#define CHILD_FDS_MAX 3u

struct child {
	enum child_role role;
	pid_t pid;
	int pidfd;  /* readable once it has ended */
	int socket; /* our end; non-blocking */
};

struct spawner;

/* Before the first thread. Errors: as fork and exec. */
int spawner_new(struct spawner **ret, struct assay_err *err);
/* Kills and waits for all children. NULL allowed. */
void spawner_free(struct spawner *s);

/*
 * Starts a child that gets copies of @fds. @admit is called with its pid and pidfd before it
 * executes anything: to exempt it. May be NULL; an error of it is returned, and the child never
 * runs. On success *ret is the caller's: child_close().
 */
int spawner_start(struct spawner *s, enum child_role role, const int *fds, size_t n_fds,
		  int (*admit)(void *ctx, pid_t pid, int pidfd), void *ctx, struct child *ret,
		  struct assay_err *err);

/* Closes our ends; the child ends by itself when its socket does. */
void child_close(struct child *c);

/* "--child ROLE" on the command line: runs as that and returns the status to exit with. */
int child_main(const char *role);
