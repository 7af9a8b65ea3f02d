/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One of our own lists as a file of the kernel's folder shows it: flat or anchored, binary or
 * ascii, with the template digests of one bank; a stream of bytes that is made as it is read.
 * What stands before the last read is forgotten, so memory does not grow with the list. Knows
 * nothing of files.
 */
#pragma once

#include "base/macros.h"
#include "base/wr.h"
#include "engine/ports.h"

struct assay_listing;

struct assay_listing_kind {
	bool anchored; /* only what extended PCRs, in their order; else every record */
	bool ascii;
	enum assay_hash column; /* whose template digests */
};

/*
 * Over @records: little-endian with the sha1 column. They are borrowed, and may grow for
 * assay_listing_read(); the anchored form stays with those that are there now, as later ones may
 * change the order of the last. @banks: those of the list's batch records. Errors: -EOPNOTSUPP a
 * bank that the crypto cannot compute, -ENOMEM.
 */
int assay_listing_new(const struct assay_crypto *crypto, const struct assay_listing_kind *kind,
		      const struct assay_banks *banks, struct assay_bytes records,
		      struct assay_listing **ret);
void assay_listing_free(struct assay_listing *l);
AUTO_DEFINE(listing);

/*
 * Writes what stands from @offset on, until @w is full or the list ends; nothing where it ended
 * before. @records: at the address they had, no fewer than before. Reading on from where the last
 * read ended costs what is read; going back in the anchored form costs as much as all before.
 * Errors: as the record's parser and assay_steps_add(), -ENOMEM; what was written before the
 * record that is wrong stays written, and the error comes with the next read.
 */
int assay_listing_read(struct assay_listing *l, struct assay_bytes records, uint64_t offset,
		       struct assay_wr *w, struct assay_err *err);
