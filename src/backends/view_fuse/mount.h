/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mount that the view is served on, and the processes that take it away when the one that
 * serves it is no more (docs/decisions/0042-view.md). Needs CAP_SYS_ADMIN; who serves does not.
 */
#pragma once

#include <limits.h>
#include <stdint.h>

#include "base/err.h"

struct assay_view_mount {
	int fuse_fd;   /* /dev/fuse, non-blocking */
	int parent_fd; /* the folder that it is in; borrowed */
	char name[NAME_MAX + 1];
	uint32_t dev_major, dev_minor; /* st_dev of all that is in it */
};

/*
 * Mounts the view on @name in the folder @parent_fd (O_PATH will do), which is made if it is
 * missing. What an earlier daemon left there is unmounted first. Changes the current folder to "/".
 * Errors: -EBUSY something else is mounted there; -ENOENT, -ENODEV this kernel has no FUSE; errno
 * of the calls.
 */
int assay_view_mount(int parent_fd, const char *name, struct assay_view_mount *ret,
		     struct assay_err *err);
struct assay_view_guard {
	int stop_fd; /* held by nobody else: closed, or this process dead, and it is unmounted */
	int pidfd;   /* readable: they are gone, and with them the mount */
};

/*
 * Starts two processes that do nothing but unmount it (MNT_DETACH) and end: when this process ends,
 * when @parent_pidfd (borrowed, -1: none) does, or one of the two. To be called before there are
 * threads, and before privileges are dropped.
 */
int assay_view_guard_start(const struct assay_view_mount *m, int parent_pidfd,
			   struct assay_view_guard *ret, struct assay_err *err);

/* It is unmounted on return, or @timeout_ms are over (-ETIMEDOUT). */
int assay_view_guard_stop(struct assay_view_guard *g, int timeout_ms);

/*
 * What each of the two keeps, in the folder of the mount: to wait, and to unmount what stands at
 * *ret_name there. Errors: as of the step that failed; then it should end. For the tests.
 */
int assay_view_guard_confine(const struct assay_view_mount *m, const char **ret_name);
