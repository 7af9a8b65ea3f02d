/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads a file whose path somebody names while openers wait: it may lead to a server that never
 * answers, or be a FIFO by now. A process that can be killed opens it, and has so long and no
 * longer. Knows nothing of what is in it.
 */
#pragma once

#include "base/file.h"
#include "programs/assayd/process/spawner.h"

/* What main and the process say (docs/formats/ipc.md). */
enum fetch_message {
	FETCH_FILE = 1, /* to it; id: at most so many bytes; body: the path */
	FETCH_DONE,	/* its content, sealed */
	FETCH_FAILED,	/* body: errno */
};

struct fetch {
	struct spawner *spawner;
	/* As spawner_start() has it, and the end of what it began; may be NULL. */
	int (*admit)(void *ctx, pid_t pid, int pidfd);
	void (*dismiss)(void *ctx, pid_t pid);
	void *ctx;
};

/*
 * Blocks for FETCH_MS at most. One thread. Errors: -ETIMEDOUT it does not answer, -E2BIG, -EINVAL
 * not a regular file, errno of open and read; the message names the path. @f NULL: reads it itself,
 * as assay_file_read().
 */
int fetch_file(struct fetch *f, const char *path, size_t max, struct assay_file *ret,
	       struct assay_err *err);

#define FETCH_MS 5000

/* The process. */
int fetch_process(void);
/* What it keeps: to read. For the tests. */
int fetch_sandbox(void);
