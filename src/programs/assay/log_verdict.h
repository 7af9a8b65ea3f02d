/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "assay log verify" found, told to people and to machines. Judges nothing. */
#pragma once

#include "programs/assay/log_segments.h"

struct log_verdict {
	const struct log_list *list;
	const struct log_input *input; /* the last, or only one */
	const struct log_verify_options *o;
	struct log_found found;	      /* of it */
	struct log_segment *segments; /* of a chain, as many as the list has; else NULL */
	int exit_status;
	char reason[320]; /* one line: why it holds or not */
};

void log_verdict_text(const struct log_verdict *v);
void log_verdict_json(const struct log_verdict *v);
