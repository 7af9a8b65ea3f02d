/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starts the daemon's other processes from one that never has the fanotify group (decision 0040).
 * Each executes its program as "--child ROLE VERSION", with its socket as descriptor 3 and what it
 * is given from 4 on. Knows nothing of what they do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum child_role {
	CHILD_SPAWNER,
	CHILD_WORKER,
	CHILD_ANCHOR,
	CHILD_CONTROL,
	CHILD_VIEW,
	CHILD_SCOUT,
	CHILD_WALKER,
	CHILD_OVERLAY_PROBE,
	CHILD_FETCH,
	CHILD_PEEK,
	CHILD_VOUCH,
	CHILD_VOUCH_DIGEST,
	CHILD_USHER,
	CHILD_SUCCESSOR,
	CHILD_ROLE_COUNT,
};

/* User and group of those that need no file. Of the numbers that systemd says nobody uses: no
 * account's programs, and no other child, may signal them. */
#define CHILD_ID_VIEW	 65530u
#define CHILD_ID_WORKER	 65531u
#define CHILD_ID_CONTROL 65532u

#define CHILD_OPTION	 "--child" /* always the first on the command line */
#define CHILD_SOCKET	 3
#define CHILD_FDS	 4 /* the first of those that it is given */
#define CHILD_FDS_MAX	 3u

/*
 * A successor is no child: it is nobody's (init's), stays when the spawner ends, and executes
 * another program. What it is given is one sealed file of strings with a NUL behind each: the
 * program's path, then its arguments from argv[0] on.
 */
#define SUCCESSOR_TEXT_MAX 65536u /* bytes */
#define SUCCESSOR_ARGS_MAX 256u

/* What a role does in its own process: returns the status to exit with. */
typedef int (*child_fn)(void);

struct child {
	pid_t pid;
	int pidfd;  /* readable once it has ended */
	int socket; /* our end */
};

struct spawner;
struct programs;

/* Before the first thread and the first descriptor that no child may have. @programs: borrowed
 * during the call; NULL: this one plays all roles. Errors: as fork(). */
int spawner_new(const struct programs *programs, struct spawner **ret, struct assay_err *err);
/* Kills all children and waits for them, but not for who cannot end. NULL allowed. */
void spawner_free(struct spawner *s);

/* Its process has ended: no child can be started or replaced any more. */
bool spawner_is_gone(const struct spawner *s);

/*
 * Starts a child that gets copies of @fds. @admit is called with its pid and pidfd (borrowed)
 * before it executes anything, so that it can be exempted; an error of it is returned, and the
 * child never runs. @admit may be NULL. On success *ret is the caller's: child_close(). Any
 * thread. Errors: -EPIPE the spawner is gone, others as fork().
 */
int spawner_start(struct spawner *s, enum child_role role, const int *fds, size_t n_fds,
		  int (*admit)(void *ctx, pid_t pid, int pidfd), void *ctx, struct child *ret,
		  struct assay_err *err);

struct spawner_child {
	enum child_role role;
	pid_t pid;
};

#define SPAWNER_CHILDREN_MAX 512u

/* At most @max of those that run, oldest first; returns how many. ret_ended: how many of each role
 * have ended. For any thread. */
size_t spawner_list(struct spawner *s, struct spawner_child *ret, size_t max,
		    uint32_t ret_ended[CHILD_ROLE_COUNT]);
pid_t spawner_pid(const struct spawner *s);
const char *child_role_name(enum child_role role);

/* At once, whatever it waits for. */
void child_kill(const struct child *c);
/* Closes our ends; the child ends when its socket does. */
void child_close(struct child *c);

/* For main(), first of all: "--child ROLE VERSION" runs as that, and never returns; else nothing
 * happens. @roles: by enum child_role; the spawner's own may be NULL: it
 * is spawner_process() then. */
void child_main(int argc, char **argv, const child_fn roles[CHILD_ROLE_COUNT]);

/* main() of a program that is nothing but that. */
int child_program(int argc, char **argv, const child_fn roles[CHILD_ROLE_COUNT]);
