/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers from text: the whole text must be one, and it must fit. */
#pragma once

#include "base/bytes.h"

/* Digits of @base (10 or 16; 16 takes an optional "0x"), no sign, no blanks.
 * Returns 0, -EBADMSG if it is not a number, -ERANGE above @max. */
int assay_num_parse(struct assay_bytes in, unsigned base, uint64_t max, uint64_t *ret);
