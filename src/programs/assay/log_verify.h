/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judges one list file against PCR values and tells what was found on stdout. */
#pragma once

#include "programs/assay/log.h"

struct log_verify_options {
	struct log_claims claims;
	bool ignore_violations, complete, json;
	unsigned jobs; /* threads */
};

/* An exit status. @command is for messages. */
int log_verify(const char *command, const char *file, const struct log_verify_options *o,
	       const struct assay_crypto *crypto);
