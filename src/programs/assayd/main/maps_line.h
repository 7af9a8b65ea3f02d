/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line of /proc/PID/maps: "START-END PERMS OFFSET MAJOR:MINOR INODE   PATH". Pure. Whoever makes
 * the file chooses the path, in which the kernel escapes line feeds alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct maps_line {
	const char *range, *perms, *path; /* in the line */
	uint64_t dev, ino;
};

/* Cuts @line, without its line feed, into pieces. False: it is no file's, or no such line. */
bool maps_line_parse(char *line, struct maps_line *ret);
