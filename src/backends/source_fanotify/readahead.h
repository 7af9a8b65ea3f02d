/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread that reads a file ahead of who hashes it, so that copying out of the page cache and
 * hashing go on at once. For one user at a time.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/macros.h"

struct assay_readahead;

/* Errors: -ENOMEM, -EAGAIN no thread. */
int assay_readahead_new(struct assay_readahead **ret);
void assay_readahead_free(struct assay_readahead *a); /* NULL allowed */
AUTO_DEFINE(readahead);

/* Begins to read @fd (borrowed until assay_readahead_stop()) from its start. */
void assay_readahead_start(struct assay_readahead *a, int fd);

/* The next slice, valid until the next call. Returns its length, 0 at the end, -errno. */
ssize_t assay_readahead_next(struct assay_readahead *a, const uint8_t **ret);

/* After the end, or before it: the descriptor is not used any more. */
void assay_readahead_stop(struct assay_readahead *a);

/* Between two files: the memory of what was read is given back, if there is any. */
void assay_readahead_rest(struct assay_readahead *a);
