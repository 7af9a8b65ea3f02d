/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the process control gives up. */
#pragma once

#include "base/sandbox.h"

#define CONTROL_FILES_MAX 256u

/* For good. Errors: as assay_sandbox_enter(). @ret may be NULL. */
int control_sandbox_enter(struct assay_sandbox_report *ret, struct assay_err *err);
