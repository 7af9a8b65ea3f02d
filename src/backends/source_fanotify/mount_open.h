/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens mount points so that nobody is asked on the way there, who may never answer: no automounter
 * (autofs), no server of FUSE or NFS. Knows nothing of what is marked.
 */
#pragma once

#include "backends/source_fanotify/mountinfo.h"

/*
 * @point with O_PATH, which raises no event and opens no device, if the kernel knows the way by
 * heart; @table is the text of mountinfo. Errors: -EREMOTE it does not, and an automounter's folder
 * is on the way, by the words of the table; -EAGAIN it does not, and somebody else may be asked:
 * for who can be killed (kernels before 5.12 know no way by heart).
 */
int assay_mount_open_path(const char *point, struct assay_bytes table);

/* By the words of @table: a filesystem that others answer for, or an overlay, which may lie on one,
 * is mounted at a folder of @point. */
bool assay_mount_way_asks(const char *point, struct assay_bytes table);

/* Whether @fd, with O_PATH, is the root of @m. Nobody is asked. Errors: errno; -EBUSY something
 * else is mounted over it. */
int assay_mount_check(int fd, const struct assay_mount *m);

/* The mount that @fd is on, with O_PATH; nobody is asked. Errors: errno; -ENOENT @table does not
 * have it. */
int assay_mount_find(int fd, struct assay_bytes table, struct assay_mount *ret);

/* The same as @path_fd, for reading: no mount point is passed. Errors: errno. */
int assay_mount_open_again(int path_fd);
