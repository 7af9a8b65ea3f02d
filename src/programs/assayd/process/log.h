/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines for a person, on stderr. Never waits: whoever reads our stderr may be waiting for us to
 * answer its open. A line that does not fit is dropped and counted. A control character becomes
 * '?'.
 */
#pragma once

#include <stdint.h>
#include <syslog.h>

#include "base/macros.h"

void log_line(int priority, const char *fmt, ...) ASSAY_PRINTF(2, 3);
uint64_t log_dropped(void);
