/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which anchor "anchor = auto" is on this machine. Opens nothing, and knows no TPM command. */
#pragma once

#include "base/wr.h"
#include "formats/conf.h"

struct anchor_choice {
	const char *kind, *why; /* NULL: the configuration left nothing open */
};

/*
 * "auto" becomes "tpm2" if a TCTI is configured or the kernel has a TPM 2.0; if only the firmware
 * has one its driver is waited for, @wait_ms at most. Else it becomes "soft". @sys: where sysfs is.
 */
void anchor_choose(struct assay_conf *conf, const char *sys, uint32_t wait_ms,
		   struct anchor_choice *ret);

/* Of the state record "anchor"; @ctx is a struct anchor_choice. */
void anchor_choice_fill(void *ctx, struct assay_wr *w);
