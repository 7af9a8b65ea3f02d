/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Audit records of what the daemon itself does or cannot do, and its audit as configured. */
#pragma once

#include "programs/assayd/audit/audit.h"
#include "programs/assayd/main/mounts.h"

/* Fills d->audit. Errors: as audit_start(). */
int audit_open(struct daemon *d, struct assay_err *err);

/* @r: 0 it is in force, or why it could not be loaded. */
void audit_policy(struct daemon *d, const char *name, int r);
/* One who was answered before the file was looked at; so many more, who all got the same. */
void audit_late(struct daemon *d, const struct ledger_entry *late);
void audit_late_count(struct daemon *d, bool allowed, uint64_t n);
void audit_uncovered(struct daemon *d, const struct mounts_uncovered *what);
