/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is written into "policy" between one open and its close, by the kernel's rules
 * (security/integrity/ima/ima_fs.c: ima_write_policy; docs/formats/view.md): each write is one
 * line, or the path of a file; after one that is wrong nothing is loaded. Makes no system call.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define ASSAY_VIEW_WRITE_MAX 4095u /* bytes of one write that are looked at, as in the kernel */

struct assay_view_upload {
	uint8_t *text; /* lines so far, with comments: what a file of them would hold */
	size_t len, room;
	uint64_t taken; /* bytes of all writes: where the next one should be */
	size_t loaded;	/* bytes of the text that were handed over */
	bool invalid;	/* something was wrong: nothing is loaded any more */
	bool has_rule;	/* the text has more than comments */
	bool path;	/* a path was given: its file is the policy */
};

struct assay_view_check {
	int (*rule)(void *ctx, struct assay_bytes line);
	void *ctx;
};

/*
 * One write. *ret_taken: how many bytes count as written. *ret_path: empty, or the path that is to
 * be loaded now; tell assay_view_upload_failed() if it cannot be. Errors: -EINVAL no rule, a write
 * at another place, rules and a path in one upload; -EFBIG over ASSAY_POLICY_SIZE_MAX; -ENOMEM.
 */
int assay_view_upload_write(struct assay_view_upload *u, const struct assay_view_check *check,
			    struct assay_bytes in, uint64_t offset, size_t *ret_taken,
			    struct assay_bytes *ret_path);

/* The text to load at a close, all of it; empty: nothing new, or nothing at all. */
struct assay_bytes assay_view_upload_take(struct assay_view_upload *u);

void assay_view_upload_failed(struct assay_view_upload *u);
void assay_view_upload_done(struct assay_view_upload *u); /* contents only */
