/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of the host. Needs an operating system: not for the engine's core. */
#pragma once

#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/macros.h"

static inline void assay_auto_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Used as AUTO(fd) int fd = -1; */

/* A whole file in memory. */
struct assay_file {
	struct assay_bytes bytes;
	bool mapped; /* by mmap; else malloc */
};

void assay_file_free(struct assay_file *f); /* contents only; safe when zeroed */

static inline void assay_auto_file(struct assay_file *f)
{
	assay_file_free(f);
}

/* Reads all of @path relative to @dirfd (AT_FDCWD allowed; "-" is standard input), at most
 * @max bytes, into malloc'ed memory. Works on files whose size is not known (securityfs, pipes).
 * Errors: -E2BIG, or errno of open and read; the message names the path. */
int assay_file_read(int dirfd, const char *path, size_t max, struct assay_file *ret,
		    struct assay_err *err);

/* The same of a descriptor, which stays open; @path is for messages. */
int assay_file_read_fd(int fd, const char *path, size_t max, struct assay_file *ret,
		       struct assay_err *err);

/* Maps @path read-only if it is a regular file with a size, reads it otherwise, and then not more
 * than 2 GiB: a pipe or device need not end. */
int assay_file_map(int dirfd, const char *path, size_t max, struct assay_file *ret,
		   struct assay_err *err);

/* All of @b to @fd. Returns 0 or -errno. */
int assay_file_write_all(int fd, struct assay_bytes b);

/* Replaces @path by a new file of @mode: written beside it, synced, renamed. */
int assay_file_replace(int dirfd, const char *path, unsigned mode, struct assay_bytes b,
		       struct assay_err *err);
