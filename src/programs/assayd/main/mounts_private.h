/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of mounts.h share: mounts.c, and mounts_given.c for what "mount" names. For the
 * main thread. */
#pragma once

#include <pthread.h>

#include "programs/assayd/main/layers.h"
#include "programs/assayd/main/mounts.h"
#include "programs/assayd/main/tally.h"
#include "programs/assayd/scout/overlay_probe.h"
#include "programs/assayd/usher/usher.h"

struct mounts {
	struct daemon *daemon;
	int fd; /* of /proc/self/mountinfo, to poll */
	pthread_mutex_t lock;
	struct filesystems known;
	uint32_t scan, pass; /* that is under way */
	/* Some did not fit: in the scan, in the pass, in the pass before that. */
	bool untold_here, untold_there, untold_before;
	/* What each mount= was when it was looked at last. */
	struct given {
		uint64_t dev; /* 0: it was not yet */
		bool gone;
	} given[ASSAY_CONF_LIST_MAX];
	struct tally tally; /* of records that say "uncovered" */
	/* While the table of our own mounts is gone through. */
	struct assay_bytes mountinfo;
	struct layers layers;
	bool root_enters; /* every FUSE filesystem */
	struct usher *usher;
	enum overlay_kind overlay;
	uint64_t overlay_next_ns; /* when it is tried again, if it is not known */
};

/* What is known of it from before, with the names of now; without a reason. */
void mounts_begin(struct mounts *m, uint64_t dev, const char *point, const char *type,
		  struct filesystem *ret);
void mounts_begin_here(struct mounts *m, const struct assay_mount *mount, struct filesystem *ret);
void mounts_set_uncovered(struct filesystem *f, const char *reason);
/* @fd: its root, for reading. */
void mounts_mark(struct mounts *m, struct filesystem *f, int fd, const struct stat *st);
/* Into what is known; what is new about it is said. One for which there is no room is looked at,
 * and watched, all the same; that there are such is said once. */
void mounts_keep(struct mounts *m, struct filesystem *f);

/* With O_PATH, by whom it may hang (usher.h). Errors: as usher_open(), and -EREMOTE an automounter
 * would be asked. */
int mounts_open_way(struct mounts *m, uint64_t place, const char *path);
/* These, and others of whoever looks there, in words. */
const char *mounts_why_shut(int error);

int mounts_scan_given(struct mounts *m, struct assay_err *err);
/* mount= names what is watched, but a program may run from elsewhere at the start: whoever looks at
 * it must know what it would wait for. */
int mounts_note_remote(struct mounts *m, struct assay_err *err);
