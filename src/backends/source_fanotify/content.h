/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Digests of a file's content: it is read once for all algorithms. A digester has its own buffer
 * and hash contexts: one per thread.
 */
#pragma once

#include "base/err.h"
#include "engine/ports.h"

struct assay_content;

#define ASSAY_CONTENT_ALGS_MAX 4u

/* @algs: at most ASSAY_CONTENT_ALGS_MAX. Errors: -EOPNOTSUPP, -ENOMEM. */
int assay_content_new(const struct assay_crypto *crypto, const enum assay_hash *algs, size_t n_algs,
		      struct assay_content **ret, struct assay_err *err);
void assay_content_free(struct assay_content *c);
AUTO_DEFINE(content);

struct assay_readahead;
/* From now on the thread of @ahead (borrowed; NULL: none) reads big files while they are hashed. */
void assay_content_read_ahead(struct assay_content *c, struct assay_readahead *ahead);

/*
 * Reads @fd from its start, whatever its position is, and fills one digest per algorithm. @go_on
 * (may be NULL) is asked after each slice whether to go on. Returns 0 (and the number of bytes),
 * -ECANCELED, or -errno of the read.
 */
int assay_content_digest(struct assay_content *c, int fd, bool (*go_on)(void *ctx), void *ctx,
			 struct assay_digest *ret, uint64_t *ret_bytes);

/* Between two files, when there may be none for long: gives back the memory of what was read. */
void assay_content_rest(struct assay_content *c);
