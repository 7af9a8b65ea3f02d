/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/self/mountinfo (proc(5)), line by line. Pure. */
#pragma once

#include "base/bytes.h"

#define ASSAY_MOUNT_PATH_MAX   4096u
#define ASSAY_MOUNT_TYPE_MAX   64u
#define ASSAY_MOUNT_LAYERS_MAX 8192u /* bytes of one option: mount(2) takes a page of them all */

struct assay_mount {
	int32_t id;							/* of the mount */
	uint64_t dev;							/* as st_dev */
	char point[ASSAY_MOUNT_PATH_MAX];				/* escapes undone */
	char type[ASSAY_MOUNT_TYPE_MAX], subtype[ASSAY_MOUNT_TYPE_MAX]; /* "fuse", "sshfs" */
	struct assay_bytes options; /* of the filesystem, escaped; borrowed from the text */
};

/* Cuts the next line off @text. False: no more. Lines that are not understood (longer than the
 * limits, for one) are counted in *@skipped and passed over. */
bool assay_mountinfo_next(struct assay_bytes *text, struct assay_mount *ret, unsigned *skipped);

/* Where an open may wait for another process or machine for ever, or for another filesystem whose
 * type is not known. */
bool assay_mount_is_remote(const char *type);
/* The same by what statfs() says. Of 9p and what is not in the kernel's headers it says nothing
 * that can be relied on. */
bool assay_magic_is_remote(uint64_t magic);
/* It is made of others' files, its layers. */
bool assay_mount_is_overlay(const char *type);
/* Whose files the kernel makes as they are read; and autofs, where looking would mount. */
bool assay_mount_is_made(const char *type);

/* False: a FUSE filesystem that lets in nobody but a user who is not root, so that no overlay of
 * root's has it as a layer. In a user's own namespaces he is the root that it says. */
bool assay_mount_admits_root(const struct assay_mount *mount);

/* Whether a layer of the overlay with these @options is at or below @point: by the words alone, as
 * to look at a path is to wait for whoever answers there. True also if that cannot be said: a path
 * that is not absolute, or not plain ("//", "/./", "/../"). A link is not seen through. */
bool assay_mount_layers_below(struct assay_bytes options, const char *point);
