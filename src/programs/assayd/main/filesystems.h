/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of each filesystem, by its device number. Bounded, so that nobody who mounts in a
 * loop has all of main's memory; and what is in users' mount namespaces only leaves room for the
 * rest, so that they cannot hide what root mounts. Knows nothing of how filesystems are found. Not
 * locked.
 */
#pragma once

#include "backends/source_fanotify/mountinfo.h"

#define FILESYSTEMS_MAX	      16384u /* of half a kilobyte each */
#define FILESYSTEMS_USERS_MAX 12288u
#define FILESYSTEMS_BUCKETS   4096u
#define FILESYSTEMS_UNTOLD    0u /* no filesystem's number: this one always has room */

struct mounts_uncovered {
	char point[256], type[ASSAY_MOUNT_TYPE_MAX], reason[96];
};

struct filesystem {
	struct filesystem *next; /* in its bucket */
	uint64_t dev;
	uint32_t bits;	/* ASSAY_FANOTIFY_ that are marked */
	uint32_t since; /* the pass in which it was found first, while it is elsewhere */
	uint32_t seen;	/* the scan, or pass, in which it was found last */
	bool remote;	/* who opens a file there may wait for others */
	bool layer;	/* remote, and an overlay of root's may lie over it */
	bool ours;	/* not in users' mount namespaces only */
	bool elsewhere; /* in other mount namespaces only */
	bool undecided; /* whether it can be watched */
	bool layered;	/* an overlay, which is not watched, as its layers are */
	struct mounts_uncovered what; /* reason "": watched, not wanted, or undecided */
};

/* What is to be known of one where files are opened that run already. */
struct filesystems_entry {
	uint64_t dev;
	bool measured; /* what is opened there, as it is watched, or its layers are */
	bool remote, overlay;
};

struct filesystems_list {
	struct filesystems_entry *v; /* malloc()ed */
	size_t n;
};

struct filesystems {
	struct filesystem *bucket[FILESYSTEMS_BUCKETS];
	uint32_t n, n_users; /* all; of these, not ours */
};

/* NULL: it is not known. */
const struct filesystem *filesystems_find(const struct filesystems *t, uint64_t dev);
/* Puts a copy of @f there, in the place of that with its number. False: there is no room. */
bool filesystems_set(struct filesystems *t, const struct filesystem *f);
/* All of them, with room for one more. Errors: -ENOMEM. */
int filesystems_list(const struct filesystems *t, struct filesystems_list *ret);
/* Those for which @goes says so. */
void filesystems_drop(struct filesystems *t, bool (*goes)(void *ctx, const struct filesystem *f),
		      void *ctx);
void filesystems_drop_all(struct filesystems *t);
/* The one behind @f, which is there; NULL: the first. Returns NULL behind the last. */
const struct filesystem *filesystems_next(const struct filesystems *t, const struct filesystem *f);
