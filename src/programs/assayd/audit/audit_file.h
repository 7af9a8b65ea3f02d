/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit record of a file that a rule has matched. For the loop, while the opener is held. */
#pragma once

#include "engine/ports.h"
#include "formats/policy.h"
#include "programs/assayd/audit/audit.h"

struct peek;

struct audit_file {
	int32_t tid; /* who opens, or has it mapped */
	bool late;   /* it ran before assayd did */
	uint32_t uid;
	uint64_t dev, ino;
	struct assay_bytes path;
	struct assay_digest digest;
	enum assay_hook hook;
	uint32_t rule;	    /* its line */
	const char *policy; /* name */
};

/* True: this content of this file has its record, now or since before. False: it is beyond the
 * rate, counted, and will be asked for again. */
bool audit_file(struct audit *a, struct peek *peek, const struct assay_crypto *crypto,
		const struct audit_file *f);
