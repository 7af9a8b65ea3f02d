/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a process of assayd enters its sandbox; what it keeps stands with each process. */
#pragma once

#include "base/sandbox.h"

/* As assay_sandbox_enter(); what went wrong is in the log, said by @who. */
int confine_process(const char *who, const struct assay_sandbox *s) ASSAY_MUST_CHECK;
