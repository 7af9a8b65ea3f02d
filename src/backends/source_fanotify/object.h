/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is opened: its path, and facts about its filesystem, which are kept per filesystem.
 * Opens files: not for the reader. Thread-safe.
 */
#pragma once

#include <sys/stat.h>

#include "backends/source_fanotify/mountinfo.h"
#include "base/err.h"
#include "engine/core/policy.h"

#define ASSAY_OBJECT_PATH_MAX 4096u

/*
 * The absolute path of @fd, without the kernel's " (deleted)". Of a file in another mount namespace
 * it is the path there, of a chrooted opener the path from the real root, as the kernel's
 * d_absolute_path() has it. Returns its length, or -errno (-ENAMETOOLONG).
 */
int assay_object_path(int fd, const struct stat *st, char ret[static ASSAY_OBJECT_PATH_MAX]);

struct assay_fs_table;

/* One filesystem. */
struct assay_fs {
	uint64_t dev, magic, id; /* st_dev, f_type, f_fsid */
	char name[ASSAY_MOUNT_TYPE_MAX], subtype[ASSAY_MOUNT_TYPE_MAX];
	uint8_t uuid[16]; /* zero: none, or not to be had */
};

/* Errors: -ENOMEM. */
int assay_fs_table_new(struct assay_fs_table **ret);
void assay_fs_table_free(struct assay_fs_table *t);
AUTO_DEFINE(fs_table);

/* Facts about the filesystem of @fd. Returns 0 or -errno of fstatfs(). */
int assay_fs_table_get(struct assay_fs_table *t, int fd, const struct stat *st,
		       struct assay_fs *ret);

/* Forgets all: mounts have changed, and device numbers may be used again. */
void assay_fs_table_clear(struct assay_fs_table *t);

/* Borrows @fs. */
struct assay_fs_facts assay_fs_facts(const struct assay_fs *fs);
