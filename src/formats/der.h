/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The little DER that is written here: what makes of a TPM's numbers something a crypto library
 * takes. Nothing is read. */
#pragma once

#include "base/bytes.h"
#include "base/wr.h"

enum {
	ASSAY_DER_INTEGER = 0x02,
	ASSAY_DER_BIT_STRING = 0x03,
	ASSAY_DER_SEQUENCE = 0x30,
};

/* Tag, length (below 65536) and @body. */
void assay_der_wrap(struct assay_wr *w, uint8_t tag, struct assay_bytes body);
/* A number that is not negative, from big-endian bytes with or without leading zeros. */
void assay_der_integer(struct assay_wr *w, struct assay_bytes number);
