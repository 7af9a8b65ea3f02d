/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files that a process executes and maps, through /proc/PID/map_files: those that are mapped,
 * whatever their paths lead to by now. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct maps_file {
	int fd; /* closed after the call */
	pid_t pid;
	const char *path; /* as the kernel shows it */
	bool is_exe;
};

/*
 * Calls @each for each file that @pid maps for execution (@all: for anything), each file once.
 * @skip (may be NULL) is asked before a file is opened, by the device and inode that maps shows.
 * Returns 0 or what @each returned below 0; a process that is gone has no files.
 */
int maps_walk(pid_t pid, bool all, bool (*skip)(void *ctx, uint64_t dev, uint64_t ino),
	      void *skip_ctx, int (*each)(void *ctx, const struct maps_file *file), void *ctx);
