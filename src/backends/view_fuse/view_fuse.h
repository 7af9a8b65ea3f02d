/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A folder that looks like the kernel's securityfs folder "ima", served over FUSE: names, modes,
 * error codes and the way policies are written (docs/formats/view.md). Knows nothing of lists and
 * of the daemon: what the files hold comes from an ops table. One thread; nothing here waits.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/macros.h"
#include "base/wr.h"
#include "formats/hash.h"
#include "formats/pcr.h"

enum assay_view_what {
	ASSAY_VIEW_LIST,
	ASSAY_VIEW_COUNT,
	ASSAY_VIEW_VIOLATIONS,
	ASSAY_VIEW_POLICY,
};

struct assay_view_file {
	enum assay_view_what what;
	/* Of a list. */
	bool anchored, ascii;
	enum assay_hash column;
};

struct assay_view_ops {
	/* There is a file of each list for each of these banks, and for sha1. */
	void (*banks)(void *ctx, struct assay_banks *ret);
	/* What one open of a file reads. Errors: -errno, as open(2) has them. */
	int (*open)(void *ctx, const struct assay_view_file *file, void **ret);
	/* From @offset on until @w is full; less only at the end. */
	int (*read)(void *ctx, void *opened, uint64_t offset, struct assay_wr *w);
	void (*close)(void *ctx, void *opened);
	/* Whether @line, without its end, is a rule. Errors: -EINVAL and others of the parser. */
	int (*check_rule)(void *ctx, struct assay_bytes line);
	/* Begins to load a policy: its text, or the path of a file. assay_view_loaded() ends it,
	 * from within or later; until then there is no other. Errors: it did not begin. */
	int (*load)(void *ctx, bool is_path, struct assay_bytes text);
};

struct assay_view;

/* @fuse_fd: of a mounted filesystem (mount.h), non-blocking; taken on success. @ops and @ctx are
 * borrowed. */
int assay_view_new(int fuse_fd, const struct assay_view_ops *ops, void *ctx,
		   struct assay_view **ret, struct assay_err *err);
void assay_view_free(struct assay_view *v); /* whoever waits for an answer gets an error */
AUTO_DEFINE(view);

/* What to poll for input; and, then, the next request. -ENODEV: it is mounted no more. */
int assay_view_fd(const struct assay_view *v);
int assay_view_dispatch(struct assay_view *v);

/* The policy that ops->load() began to load is in force (0), or is not (-errno). */
void assay_view_loaded(struct assay_view *v, int result);
