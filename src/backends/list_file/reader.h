/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A segment that another process writes, or wrote: mapped for reading, as it grows. Takes no lock
 * and asks nobody: what counts is what the commit page says was written.
 */
#pragma once

#include "base/err.h"
#include "engine/ports.h"
#include "formats/segment.h"

struct assay_list_reader;

/*
 * Of the segment open as @fd, which it takes on success; O_RDONLY is enough. @size_max: bytes of
 * address space for what it may grow to, 0: 16 GiB. One reference. Errors: as
 * assay_segment_parse(), errno of the file calls.
 */
int assay_list_reader_new(int fd, uint64_t size_max, const struct assay_crypto *crypto,
			  struct assay_list_reader **ret, struct assay_err *err);
struct assay_list_reader *assay_list_reader_ref(struct assay_list_reader *r);
void assay_list_reader_unref(struct assay_list_reader *r); /* NULL allowed */

const struct assay_segment_head *assay_list_reader_head(const struct assay_list_reader *r);

/*
 * The records written so far; the address stays, and what is below the length does not change.
 * Errors: -EBADMSG the segment is shorter than it says, or than it was; -E2BIG it outgrew its
 * address space.
 */
int assay_list_reader_records(struct assay_list_reader *r, struct assay_bytes *ret,
			      struct assay_err *err);

/* Pages that were looked at need not stay in this process' memory. */
void assay_list_reader_relax(struct assay_list_reader *r);

/* The segment of the highest number in the folder @dirfd, read only. -ENOENT: there is none. */
int assay_list_reader_newest(int dirfd, int *ret_fd, struct assay_err *err);
