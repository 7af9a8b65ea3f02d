/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An event and what a policy said about it, printed rule by rule. */
#pragma once

#include "programs/assay/policy_file.h"

#define EXPLAIN_CONDS_OBJECT                                                                       \
	(ASSAY_COND_FSMAGIC | ASSAY_COND_FSNAME | ASSAY_COND_FS_SUBTYPE | ASSAY_COND_FSUUID |      \
	 ASSAY_COND_FOWNER | ASSAY_COND_FGROUP)

struct explain {
	struct policy_file file;
	const struct assay_policy *policy;
	struct assay_match_facts facts;
	uint32_t known;	  /* conditions on the object whose fact is known; others do not hold */
	const char *path; /* NULL: none was given */
	struct assay_match match;
};

/* On stdout. Returns an exit status. */
int explain_print(const struct explain *e);
/* The caller owns it; NULL: out of memory. */
json_t *explain_json(const struct explain *e);
