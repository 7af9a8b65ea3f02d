/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/process/confine.h"

#include "programs/assayd/process/log.h"

int confine_process(const char *who, const struct assay_sandbox *s)
{
	struct assay_err err;
	int r = assay_sandbox_enter(s, NULL, &err);

	if (r < 0)
		log_line(LOG_ERR, "%s: %s", who, err.text);
	return r;
}
