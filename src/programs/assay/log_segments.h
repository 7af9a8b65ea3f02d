/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The segments of a list, one after the other: each walked, and held against the one before it. */
#pragma once

#include "engine/chain.h"
#include "programs/assay/log_verify.h"

/* One segment, and what was found of it. */
struct log_segment {
	const char *path;
	const struct assay_segment_head *head;
	struct log_found found; /* without verify, but for the last */
	struct assay_chain_finding link;
	uint32_t pcrs;	  /* that it has entries of, a bit each */
	uint32_t reached; /* of an older one: those that lead to what the next began with, or stayed
			   */
	/* It began neither at zero nor with what the one before leads to: something was extended
	 * that no list has. */
	bool gap;
};

/* Walks over all but the last. Returns an array for all of @list, or NULL: no memory. */
struct log_segment *log_segments_walk(const struct log_list *list,
				      const struct log_verify_options *o,
				      const struct assay_crypto *crypto);
/* Takes what was found of the last, whose head @vouched is said of by an entry that counts, and
 * judges how they follow each other. */
void log_segments_judge(struct log_segment *s, const struct log_list *list, uint64_t first,
			bool vouched, const struct log_found *last,
			const struct assay_crypto *crypto);
