/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens mount points so that no automounter (autofs) is asked on the way there, who may never
 * answer. What is mounted behind other processes or machines is waited for. Knows nothing of what
 * is marked.
 */
#pragma once

#include "backends/source_fanotify/mountinfo.h"

/*
 * @point with O_PATH, which raises no event and opens no device; @table is the text of mountinfo.
 * Of a mount point that the kernel has at hand it is known at once; else the way there is looked at
 * in words, and walked if none of its folders is an automounter's (kernels before 5.12 know nothing
 * at hand). Errors: errno; -EREMOTE an automounter would be asked.
 */
int assay_mount_open_path(const char *point, struct assay_bytes table);

/* The root of @m, with O_PATH. Errors: these; -EBUSY something else is mounted over it. */
int assay_mount_open(const struct assay_mount *m, struct assay_bytes table);

/* The folder or file @path for reading, but -EREMOTE if it is an automounter's. */
int assay_mount_open_given(const char *path, struct assay_bytes table);

/* The same as @path_fd, for reading: no mount point is passed. Errors: errno. */
int assay_mount_open_again(int path_fd);
