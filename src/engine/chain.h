/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Judges how the segments of a list follow each other, by their heads and by what was found when
 * each was walked. Reads no file, computes no hash, and knows nothing of PCR values that somebody
 * gave.
 */
#pragma once

#include "formats/segment.h"

#define ASSAY_CHAIN_MAX 16384u /* segments: each is compared with those before it */

/* One segment, in the order in which it was given. */
struct assay_chain_segment {
	const struct assay_segment_head *head;
	uint64_t len;	    /* bytes of its records */
	uint8_t digest[32]; /* SHA-256 of them; not looked at for the last */
	bool vouched;	    /* its first entry that speaks of a head names this one */
	uint32_t pcrs;	    /* bit for each PCR that it has entries of */
};

enum assay_chain_fault {
	ASSAY_CHAIN_FOLLOWS,   /* none */
	ASSAY_CHAIN_MISSING,   /* segments before it are not there */
	ASSAY_CHAIN_ORDER,     /* it stands behind one that is newer, or stands there twice */
	ASSAY_CHAIN_START,     /* why it began does not fit its number */
	ASSAY_CHAIN_CUT,       /* the one before has fewer bytes than it had */
	ASSAY_CHAIN_LONGER,    /* ... more */
	ASSAY_CHAIN_CHANGED,   /* ... other bytes: changed, or of another list */
	ASSAY_CHAIN_COUNTS,    /* the TPM's counts or clock went back, or did not go on */
	ASSAY_CHAIN_BOOT,      /* it is of a boot that had ended */
	ASSAY_CHAIN_BASE,      /* its first PCR values are not what they must be */
	ASSAY_CHAIN_UNVOUCHED, /* nothing that was extended names its head */
	ASSAY_CHAIN_FAULT_COUNT
};

struct assay_chain_finding {
	enum assay_chain_fault fault;
	char why[200];
};

/*
 * Whether @s[at] follows @s[at - 1] and, for @at 0, whether it is segment @first; 0: any may be.
 * False: @ret says why not.
 */
bool assay_chain_judge(const struct assay_chain_segment *s, size_t at, uint64_t first,
		       struct assay_chain_finding *ret);

const char *assay_chain_fault_name(enum assay_chain_fault fault);
