/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's command line: words between blanks, as the kernel cuts them itself. Pure; what a
 * word means to whom is not known here.
 */
#pragma once

#include "base/bytes.h"

#define ASSAY_CMDLINE_SIZE_MAX 65536u /* bytes; no kernel has more than 4096 today */

/*
 * The value of "@name=VALUE"; if it is there more than once, of the last, as boot loaders append.
 * Double quotes keep blanks inside a word and are not part of the value where they stand around it.
 * What follows a word "--" is the first process's and is not looked at. Returns false if there is
 * none, or @line is longer than the limit.
 */
bool assay_cmdline_get(struct assay_bytes line, const char *name, struct assay_bytes *ret);
