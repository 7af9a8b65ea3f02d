/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is recorded around the watching itself. */
#pragma once

#include "programs/assayd/main/daemon.h"

/* Before the first mark, when the other processes run: digests of the programs, every file that
 * they map, the unit, configuration and policy, as state records "self". Errors: the recorder's. */
int startup_record_self(struct daemon *d, struct assay_err *err);

/* Once it was started; not for ever. */
void startup_wait_for_view(const struct daemon *d);

/* What the kernel's command line says, and which anchor there is, where that was to be found out:
 * both into the configuration. Nothing is recorded yet. */
void startup_settle(struct daemon *d);

/* Before the first mark: what startup_settle() found, as state records "cmdline" and "anchor".
 * Errors: the recorder's. */
int startup_record_settled(struct daemon *d, struct assay_err *err);

/* After the marks: what runs already is measured as late, and a state record "late" says how much.
 * What could not be opened is tried again later. Errors: the recorder's. */
int startup_scan_running(struct daemon *d, struct assay_err *err);
