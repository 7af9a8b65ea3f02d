/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hexadecimal text. Encodes in lower case, decodes either. */
#pragma once

#include "base/bytes.h"

/* Writes 2 * in.len digits and a NUL to @to, which has room for them. */
void assay_hex_encode(struct assay_bytes in, char *to);

/* Decodes exactly @in (even length, digits only) into @to of @cap bytes.
 * Returns the number of bytes, -EBADMSG if it is not hex, -E2BIG if it does not fit. */
long assay_hex_decode(struct assay_bytes in, uint8_t *to, size_t cap);
