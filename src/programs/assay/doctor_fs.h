/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One mounted filesystem, looked at from a child that may hang. Nothing is written: what can only
 * be known by writing is tried on tmpfs and ramfs alone, on a file without a name that is memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FS_LOOK_POINTS 8u

struct fs_look_at {
	const char *point[FS_LOOK_POINTS]; /* where it is mounted; tried in turn */
	unsigned n_points;
	uint64_t dev;
	bool any_dev;  /* st_dev is not the superblock's: btrfs, overlay */
	bool far_away; /* of another process or machine: only asked whether it answers */
	bool memory;   /* what is written to it is memory */
};

/* Each an errno, 0: it works, -1: not tried. */
struct fs_look {
	int error; /* of looking at all */
	int xattrs, verity, handles, notify, permission, ignore, lease;
	bool covered; /* another filesystem is mounted over it */
	bool read_only, has_uuid;
	uint64_t magic;
	uint8_t uuid[16];
};

/* Nothing tried, for that reason. */
struct fs_look fs_look_nothing(int error);

/* For doctor_child(): a struct fs_look_at and a struct fs_look. */
void fs_look(const void *what, void *ret);
