/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a parser has taken is written again, byte for byte. */
#pragma once

#include <stdlib.h>

#include "base/rd.h"
#include "base/wr.h"

/* @w has @in and nothing else; it is empty afterwards. */
static inline void must_be(struct assay_bytes in, struct assay_wr *w)
{
	if (!assay_wr_ok(w) || !assay_bytes_equal(assay_wr_done(w), in))
		abort();
	w->len = 0;
}
