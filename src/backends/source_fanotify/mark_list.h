/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The marks of a group as /proc/self/fdinfo/FD lists them (proc_pid_fdinfo(5)). Pure. */
#pragma once

#include "base/bytes.h"

#define ASSAY_MARK_HANDLE_MAX 128u /* MAX_HANDLE_SZ */

/* The mark of one inode. */
struct assay_inode_mark {
	uint64_t dev;	  /* of the superblock; a btrfs subvolume's st_dev is another */
	uint32_t ignored; /* the kernel's bits; all of them if the line does not say */
	int32_t handle_type;
	uint32_t handle_len; /* 0: there is none */
	uint8_t handle[ASSAY_MARK_HANDLE_MAX];
};

/* True if @line (without its end) is of an inode's mark. What is missing or not understood is left
 * as it is said above: such a mark is there, and cannot be reached. */
bool assay_mark_parse(struct assay_bytes line, struct assay_inode_mark *ret);
