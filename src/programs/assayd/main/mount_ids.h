/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Of which filesystem the mounts are that a process sees, by their ids. A descriptor's mount is
 * told by the kernel alone, as the device is not that stat() shows: btrfs and overlays make up
 * numbers for their files.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mount_ids {
	pid_t pid;	    /* 0: of nobody */
	struct mount_id *v; /* ascending; malloc()ed */
	size_t n;
};

/* Those that @pid sees, in the place of what was there. None if that cannot be read. */
void mount_ids_read(struct mount_ids *t, pid_t pid);
void mount_ids_done(struct mount_ids *t);
/* False: no mount has it. */
bool mount_ids_find(const struct mount_ids *t, uint64_t id, uint64_t *ret_dev);
