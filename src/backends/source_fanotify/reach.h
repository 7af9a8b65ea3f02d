/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a device number to a descriptor on that filesystem, by which its files can be opened by
 * handle. Only through mounts of our own namespace: a path in another one may lead through a
 * server of its user that never answers.
 */
#pragma once

#include "backends/source_fanotify/mark_list.h"
#include "base/err.h"
#include "base/macros.h"

struct assay_reach;

/* Takes down what is mounted now. Errors: -ENOMEM, errno of /proc/self/mountinfo. */
int assay_reach_new(struct assay_reach **ret, struct assay_err *err);
void assay_reach_free(struct assay_reach *r); /* NULL allowed */
AUTO_DEFINE(reach);

/*
 * Opens the inode of a mark, as O_PATH: no event, no lock. Errors: -ESTALE it is gone, -ENXIO its
 * filesystem is on no mount that we see, -EOPNOTSUPP it has no handles, others as
 * open_by_handle_at().
 */
int assay_reach_open(struct assay_reach *r, const struct assay_inode_mark *mark);
