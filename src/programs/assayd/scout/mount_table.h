/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of mounts that a task sees, and whose namespace it is of. The table stays on the
 * namespace in which it was opened; but the task may be in another one when it is asked for that
 * one's owner: it moves where it has the rights, and an exec by another thread puts that one, with
 * its namespace, in the place of the leader. Knows nothing of what is mounted.
 */
#pragma once

#include "base/file.h"

struct mount_table {
	int fd;	      /* -1: it was not opened */
	uint64_t ns;  /* the number of the namespace */
	bool is_ours; /* it belongs to the user namespace that was asked about */
	bool is_sure; /* the table is that namespace's, if it is ours; else nobody may believe it */
	uint64_t ran; /* ns of processor time that the task had had; 0: another may replace it */
	uint64_t began;
};

/* A task: its directory in /proc, and whether its number is that of its process. */
struct mount_table_task {
	int dir;
	bool leads;
};

static inline void assay_auto_mount_table(struct mount_table *t)
{
	if (t->fd >= 0)
		close(t->fd);
}

/* Used as AUTO(mount_table) struct mount_table t = { .fd = -1 }; @user_ns: the number of a user
 * namespace. Asks again if it is not sure at once. Errors: -ESRCH the task has ended, or is
 * elsewhere by now. */
int mount_table_open(struct mount_table *t, const struct mount_table_task *task, uint64_t user_ns);

/* What the namespace has by now. Errors: as assay_file_read(). */
int mount_table_read(const struct mount_table *t, size_t max, struct assay_file *ret);
/* Whether the mount of that id is an overlay's by now; @text: what was read last. For a mount that
 * a descriptor holds, as ids are given anew. */
bool mount_table_has_overlay(const struct mount_table *t, struct assay_bytes text, uint32_t id);

/* The three parts of an open, apart for tests of what happens in between. */
int mount_table_begin(struct mount_table *t, const struct mount_table_task *task);
int mount_table_pin(struct mount_table *t, const struct mount_table_task *task);
int mount_table_end(struct mount_table *t, const struct mount_table_task *task, uint64_t user_ns);
