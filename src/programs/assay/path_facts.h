/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the system says about a path, in the terms of a policy. */
#pragma once

#include "base/err.h"

struct path_facts {
	uint64_t fsmagic;
	char fsname[64], fs_subtype[64]; /* "fuse" and "sshfs" of a mount of type fuse.sshfs */
	uint8_t fsuuid[16];
	bool has_fsuuid; /* not every file system has one, and not every kernel tells */
	uint32_t fowner, fgroup;
};

/* Follows symbolic links, as open() does. Errors: errno of the system, with the path. */
int path_facts_read(const char *path, struct path_facts *ret, struct assay_err *err);
