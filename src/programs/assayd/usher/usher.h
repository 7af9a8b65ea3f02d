/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens mount points to which the way may lead past another process or machine that never answers:
 * a process that can be killed walks there (decision 68). Remembers where it hung. Knows nothing of
 * what is mounted. One thread.
 */
#pragma once

#include "base/err.h"
#include "programs/assayd/process/spawner.h"

/* What main and the process say (docs/formats/ipc.md). */
enum usher_message {
	USHER_READY = 1, /* in its sandbox */
	USHER_OPEN,	 /* to it; id: of the question; body: the path */
	USHER_OPENED,	 /* its root, O_PATH */
	USHER_FAILED,	 /* body: errno */
};

#define USHER_FIRST_MS	1000u	       /* for an answer */
#define USHER_NEXT_MS	100u	       /* once somebody has hung in this look */
#define USHER_LOOK_MS	1500u	       /* for all of one look */
#define USHER_AGAIN_NS	60000000000ull /* what hung is tried again */
#define USHER_SOON_NS	5000000000ull  /* what there was no time for is */
#define USHER_DYING_MAX 8u	       /* killed, and not ended */

struct usher;

struct usher_ops {
	struct spawner *spawner;
	/* As spawner_start() has it, and the end of what it began; may be NULL. */
	int (*admit)(void *ctx, pid_t pid, int pidfd);
	void (*dismiss)(void *ctx, pid_t pid);
	void *ctx;
};

int usher_new(const struct usher_ops *ops, struct usher **ret); /* copied. Errors: -ENOMEM */
void usher_free(struct usher *u);				/* NULL allowed */

/* A look at all mounts. What is not asked for until its end is forgotten. */
void usher_begin(struct usher *u, uint64_t now_ns);
void usher_end(struct usher *u);

/*
 * Opens @path with O_PATH; @place is its number for the next looks. Returns the descriptor, or
 * -errno: -ETIMEDOUT somebody on the way does not answer, or did not lately, or there is no time
 * left to ask; -EREMOTEIO another process or machine answers for what is there; others of open().
 */
int usher_open(struct usher *u, uint64_t place, const char *path);

/* There is something to be tried again: the next look is due. */
bool usher_is_due(const struct usher *u, uint64_t now_ns);

/* The process. */
int usher_process(void);
/* What it keeps: to open. For the tests. */
int usher_sandbox(void);
