/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A policy from a built-in name or a file, compiled, with what the daemon asks of it. */
#pragma once

#include "base/err.h"
#include "engine/core/event.h"
#include "engine/ports.h"
#include "programs/assayd/fetch/fetch.h"

struct loaded_policy {
	const struct assay_policy *compiled;
	const char *name;	    /* as it was asked for */
	struct assay_bytes text;    /* in the arena */
	struct assay_digest digest; /* of the text */
	bool builtin;
	bool quiet;    /* what it says was logged when it was loaded first */
	bool audits;   /* some rule audits */
	bool by_owner; /* some rule asks who owns the file, which can change without a write */
	uint32_t event_bits; /* ASSAY_FANOTIFY_: the events that some rule needs */
	struct assay_arena arena;
	const struct loaded_policy *older; /* what was in force before; borrowers may be left */
};

/* @by: who reads a file, NULL: the caller himself. "tcb", several as "tcb|critical_data", or a
 * path, which has a '/'. What it says and is not done is logged. Errors: as assay_policy_parse()
 * with file and place in the message; -EOPNOTSUPP what a core with @core cannot write. */
int policy_load(struct fetch *by, const char *name, const struct assay_crypto *crypto,
		const struct assay_core_config *core, const struct loaded_policy **ret,
		struct assay_err *err);

/* From the text that another process has loaded. */
int policy_load_again(const char *name, bool builtin, struct assay_bytes text,
		      const struct assay_crypto *crypto, const struct assay_core_config *core,
		      const struct loaded_policy **ret, struct assay_err *err);

/* With all that are older. NULL allowed. */
void policy_free(const struct loaded_policy *p);

/* @p comes into force after @before, which it keeps. */
void policy_follow(const struct loaded_policy *p, const struct loaded_policy *before);
