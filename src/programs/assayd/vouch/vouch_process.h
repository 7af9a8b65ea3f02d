/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at what exempt processes run, as it is told to. Whoever it looks at may make it hang. */
#pragma once

#include "formats/hash.h"

/* Reads all of @fd. Errors: -errno. */
struct vouch_digester {
	int (*digest)(void *ctx, int fd, enum assay_hash alg, struct assay_digest *ret);
	void *ctx;
};

/* Serves CHILD_SOCKET until it ends; returns the status to exit with, if it cannot. @digester NULL:
 * it knows no digest. */
int vouch_serve(const struct vouch_digester *digester);
/* What it keeps: to read. For the tests. */
int vouch_sandbox(void);

/* The one that is asked each second, and takes little memory for it; and the one that is asked for
 * a digest, and ends when that is told. */
int vouch_process(void);
int vouch_digest_process(void);
