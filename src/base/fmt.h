/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * printf for code that may have no C library (the engine's core runs in a trusted application).
 * Knows %s %.*s %c %d %i %u %x, with the length modifiers l, ll and z, a zero-padded
 * width ("%02x", "%10u") and %%. Anything else is printed as it stands.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/macros.h"

/* Formats into @buf of @size bytes (at least 1), always terminated. Returns the length that the
 * whole text has, which is >= @size when it was cut. */
size_t assay_fmt_v(char *buf, size_t size, const char *fmt, va_list ap) ASSAY_PRINTF(3, 0);
size_t assay_fmt(char *buf, size_t size, const char *fmt, ...) ASSAY_PRINTF(3, 4);
