/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a file that a process maps may be opened for reading, and be main's: by what the kernel
 * says of an O_PATH descriptor of it. What main knows of device numbers is a moment old, and a
 * number is given anew as soon as it is free, also to a user's overlay over his FUSE filesystem:
 * who opens or closes a file there waits for him. While a descriptor is held, its own numbers are
 * nobody else's.
 */
#pragma once

#include "programs/assayd/scout/mount_ids.h"
#include "programs/assayd/scout/walk_msg.h"

struct walk_judge {
	struct walk_device *device; /* ascending; malloc()ed */
	size_t n;
	uint32_t any;		       /* WALK_ flags of one of them */
	uint64_t user_ns;	       /* ours */
	struct mount_ids ours, theirs; /* mounts */
};

/* It is as zeroed. Before the sandbox. */
void walk_judge_init(struct walk_judge *j);
void walk_judge_done(struct walk_judge *j);

/* More devices. Errors: -ENOMEM, -EBADMSG malformed, or not ascending. */
int walk_judge_add(struct walk_judge *j, struct assay_bytes body);
bool walk_judge_knows(const struct walk_judge *j, uint64_t dev);
/* WALK_ flags of the device; 0 also if it is not known. */
uint32_t walk_judge_flags(const struct walk_judge *j, uint64_t dev);

enum walk_verdict {
	WALK_DOUBT, /* it is on no filesystem that is known */
	WALK_LEAVE, /* nobody wants to know */
	WALK_REMOTE,
	WALK_SAFE,
};

struct walk_found {
	struct walk_file file;
	uint64_t st_dev; /* no other file has this and the inode number */
};

/* Of the file of the process @pid of which @fd is an O_PATH descriptor. ret: on WALK_SAFE. May wait
 * for a server that lets root in: statfs() of an overlay. */
enum walk_verdict walk_judge_file(struct walk_judge *j, pid_t pid, int fd, struct walk_found *ret);
