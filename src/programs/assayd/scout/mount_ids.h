/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Of which filesystem the mounts are that a process sees, by their ids. A descriptor's mount is
 * told by the kernel alone, as the device is not that stat() shows: btrfs and overlays make up
 * numbers for their files. An id is given anew as soon as its mount is gone: what is found here
 * holds for a descriptor that was open before mount_ids_refresh().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mount_id {
	uint64_t id, dev;
	bool is_overlay;
};

struct mount_ids {
	pid_t pid;	    /* 0: of nobody */
	int fd;		    /* of the table, to see that it changes; while @pid is not 0 */
	bool is_ours;	    /* its owner is the user namespace that was asked about */
	struct mount_id *v; /* ascending; malloc()ed */
	size_t n;
};

/* Those that @pid sees by now, in the place of what was there. None if that cannot be read.
 * @user_ns: the number of a user namespace. */
void mount_ids_refresh(struct mount_ids *t, pid_t pid, uint64_t user_ns);
void mount_ids_done(struct mount_ids *t);
/* NULL: no mount has it. */
const struct mount_id *mount_ids_find(const struct mount_ids *t, uint64_t id);
bool mount_ids_have_overlay(const struct mount_ids *t, uint64_t dev);
