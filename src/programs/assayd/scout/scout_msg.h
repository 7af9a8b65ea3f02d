/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What main and the scout say to each other (docs/formats/ipc.md). Pure; main believes no field
 * that it has not checked. */
#pragma once

#include "backends/source_fanotify/mountinfo.h"
#include "base/wr.h"

enum scout_message {
	SCOUT_SCAN = 1,	 /* to the scout; id: the pass; body: places to leave out */
	SCOUT_LOOKING,	 /* at this place next; if nothing follows, it hangs */
	SCOUT_FOUND,	 /* a filesystem; its descriptor is an O_PATH one of the mount's root */
	SCOUT_REMOTE,	 /* a filesystem that may hang: not opened */
	SCOUT_FAILED,	 /* a filesystem that could not be opened */
	SCOUT_DONE,	 /* the pass is over */
	SCOUT_SCAN_EACH, /* to the scout: as SCOUT_SCAN, and it says each process before it looks */
	SCOUT_NAMESPACE, /* it is looked at next; with its descriptor */
};

#define SCOUT_SKIP_MAX	256u
#define SCOUT_POINT_MAX 256u /* longer names are cut */

/* A mount in a mount namespace: the namespace's inode number, and the mount's id; 0: its table of
 * mounts. Without a namespace: the process of that id; 0: nowhere. */
struct scout_place {
	uint64_t ns;
	uint32_t id;
};

/* Of a mount. One that was told without them is told again if it is found with them. */
#define SCOUT_OURS  1u /* in a mount namespace that belongs to our own user namespace */
#define SCOUT_LAYER 2u /* as that, and of SCOUT_REMOTE: an overlay of root's may lie over it */

struct scout_mount {
	struct scout_place place;
	uint64_t dev;	/* as in mountinfo; 0: the mounts of the namespace could not be read */
	uint32_t flags; /* SCOUT_OURS, SCOUT_LAYER */
	uint32_t error; /* errno of SCOUT_FAILED */
	char point[SCOUT_POINT_MAX], type[ASSAY_MOUNT_TYPE_MAX];
};

struct scout_summary {
	uint32_t namespaces, filesystems;
};

void scout_skips_encode(const struct scout_place *skips, uint32_t n, struct assay_wr *w);
int scout_skips_parse(struct assay_bytes body, struct scout_place ret[static SCOUT_SKIP_MAX],
		      uint32_t *ret_n);
void scout_place_encode(const struct scout_place *place, struct assay_wr *w);
int scout_place_parse(struct assay_bytes body, struct scout_place *ret);
void scout_mount_encode(const struct scout_mount *m, struct assay_wr *w);
int scout_mount_parse(struct assay_bytes body, struct scout_mount *ret);
void scout_summary_encode(const struct scout_summary *s, struct assay_wr *w);
int scout_summary_parse(struct assay_bytes body, struct scout_summary *ret);
