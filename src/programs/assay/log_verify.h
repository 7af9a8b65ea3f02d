/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judges a list against PCR values and tells what was found on stdout. */
#pragma once

#include "engine/boot.h"
#include "engine/history.h"
#include "programs/assay/log.h"

/* The operating system's PCRs: those below are the firmware's, those above can be reset by anybody.
 */
#define LOG_OS_PCR_FIRST 10
#define LOG_OS_PCR_LAST	 15

#define LOG_BOOTS_MAX	 4096u /* boot_aggregates in one file */

struct log_verify_options {
	struct log_claims claims;
	bool ignore_violations, complete, json;
	unsigned jobs;	/* threads */
	uint64_t first; /* segment that a chain must begin with; 0: any */
};

/* What a walk over one file found. */
struct log_found {
	struct assay_verify *verify; /* NULL: it could not begin, see err */
	struct assay_verify_summary sum;
	int error;	      /* of the record that ended the walk, 0 if none did */
	struct assay_err err; /* offset counts in the file */
	bool stopped; /* the last entry of assayd about itself says that it ended in order */
	struct assay_history history;
	char why[128]; /* a segment began, by its own entry */
	struct assay_boot *boots;
	size_t n_boots;
	struct assay_boot_finding boot;
};
void log_found_done(struct log_found *f);

/* Walks over @input as often as it takes to hold it against @claims. @label is put in front of what
 * is told of single entries. */
void log_examine(const struct log_input *input, const struct log_claims *claims,
		 const struct log_verify_options *o, const struct assay_crypto *crypto,
		 const char *label, struct log_found *ret);

/* An exit status. @command is for messages. */
int log_verify(const char *command, const struct log_list *list, const struct log_verify_options *o,
	       const struct assay_crypto *crypto);
