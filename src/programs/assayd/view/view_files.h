/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the view hold: the list of a segment that another process writes, in the forms
 * of the kernel's files, its counts, and the policy's text. Asks nobody and waits for nobody.
 */
#pragma once

#include "backends/list_file/reader.h"
#include "backends/view_fuse/view_fuse.h"
#include "engine/ports.h"

struct view_text;

struct view_files {
	struct assay_crypto crypto;
	struct assay_list_reader *list; /* NULL: there is none yet */
	struct view_text *policy;	/* NULL: none was told */
	uint8_t template[256];		/* that rules are held against */
	size_t template_len;
	/* Of the first @counted bytes of records. */
	size_t counted;
	uint64_t records, violations;
	size_t n_lists; /* that are open */
};

/* For struct assay_view_ops; @ctx is a struct view_files. */
void view_files_banks(void *ctx, struct assay_banks *ret);
int view_files_open(void *ctx, const struct assay_view_file *file, void **ret);
int view_files_read(void *ctx, void *opened, uint64_t offset, struct assay_wr *w);
void view_files_close(void *ctx, void *opened);
int view_files_check_rule(void *ctx, struct assay_bytes line);

/* Later opens read the segment @fd, which is taken on success; those of before keep theirs. */
int view_files_set_segment(struct view_files *f, int fd, struct assay_err *err);
/* The policy is shown as the kernel prints rules; a text without any, as it is. */
int view_files_set_policy(struct view_files *f, struct assay_bytes text);
int view_files_set_template(struct view_files *f, struct assay_bytes name);
void view_files_done(struct view_files *f);
