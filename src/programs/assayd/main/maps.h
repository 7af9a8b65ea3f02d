/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files that a process executes and maps, through /proc/PID/map_files: those that are mapped,
 * whatever their paths lead to by now. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct maps_file {
	int fd;	   /* closed after the call */
	pid_t pid; /* or a thread of it, where the first one has ended */
	uint64_t dev,
		ino; /* as maps shows them: of an overlay's file, some kernels' are its layer's */
	const char *path; /* as the kernel shows it */
	bool is_exe;
};

struct maps_walk {
	pid_t pid;
	bool all; /* what is mapped for anything, not for execution only */
	/* Asked before a file is opened, by what maps shows (its fd is -1); may be NULL. */
	bool (*skip)(void *ctx, const struct maps_file *file);
	/* Asked before a file is opened for reading, with an O_PATH descriptor of it; may be NULL.
	 * Returns 1, 0: it is left out, or -errno: as if it could not be opened. */
	int (*admit)(void *ctx, const struct maps_file *file);
	int (*each)(void *ctx, const struct maps_file *file);
	/* A file that is mapped and cannot be opened (its fd is -1), as when somebody holds a write
	 * lease on it; or its inode is 0 and its path /proc/PID/maps: none of the process's files
	 * are known. @error is an errno. */
	void (*unreadable)(void *ctx, const struct maps_file *file, int error);
	void *ctx;
};

/*
 * Calls @each for each regular file that the process maps, each file once. Returns 0, what @each
 * returned below 0, or -ENOMEM; a process that is gone has no files. Where the first thread has
 * ended the others tell.
 */
int maps_walk(const struct maps_walk *walk);
