/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names in the folder and their inode numbers; knows nothing of FUSE. */
#pragma once

#include "backends/view_fuse/view_fuse.h"

#define ASSAY_VIEW_ROOT	    1u
#define ASSAY_VIEW_NAME_MAX 64u /* bytes, with the NUL */

enum assay_view_node_type { ASSAY_VIEW_FOLDER, ASSAY_VIEW_LINK, ASSAY_VIEW_REGULAR };

struct assay_view_node {
	enum assay_view_node_type type;
	uint32_t mode; /* permissions */
	/* Of a link: anchored and ascii, and column is what it leads to. */
	struct assay_view_file file;
	char name[ASSAY_VIEW_NAME_MAX];
};

/* Inode numbers are below this. */
uint64_t assay_view_node_end(void);

/* The node of inode @ino; false: there is none with these banks. */
bool assay_view_node_get(uint64_t ino, const struct assay_banks *banks,
			 struct assay_view_node *ret);

/* The inode number of @name in the folder, or 0. */
uint64_t assay_view_node_find(const char *name, const struct assay_banks *banks);

/* The name of what a link leads to. */
void assay_view_node_target(const struct assay_view_node *link,
			    char ret[static ASSAY_VIEW_NAME_MAX]);
