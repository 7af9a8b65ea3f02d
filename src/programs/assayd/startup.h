/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is recorded around the watching itself. */
#pragma once

#include "programs/assayd/daemon.h"

/* Before the first mark: digests of assayd, every file it maps, its unit, configuration and policy,
 * as state records "self". Errors: the recorder's. */
int startup_record_self(struct daemon *d, struct assay_err *err);

/* After the marks: what runs already is measured as late, and a state record "late" says how much.
 * Errors: the recorder's. */
int startup_scan_running(struct daemon *d, struct assay_err *err);
