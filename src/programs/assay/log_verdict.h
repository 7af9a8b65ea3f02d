/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "assay log verify" found, told to people and to machines. Judges nothing. */
#pragma once

#include "programs/assay/log.h"

struct log_verdict {
	const struct log_input *input;
	const struct assay_verify *verify;
	const struct log_claims *claims;
	struct assay_verify_summary sum;
	int error;	      /* of the record that ended the walk, 0 if none did */
	struct assay_err err; /* offset counts in the file */
	bool ignore_violations, complete;
	int exit_status;
	const char *reason; /* one line: why it holds or not */
};

void log_verdict_text(const struct log_verdict *v);
void log_verdict_json(const struct log_verdict *v);
