/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of openers: what is read is written back the same, and what is not is not begun. */
#include <stdlib.h>

#include "programs/assayd/peek/peek_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be(struct assay_bytes in, struct assay_wr *w)
{
	if (!assay_bytes_equal(assay_wr_done(w), in))
		abort();
	w->len = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[8192];
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct assay_bytes in = assay_bytes(data, size);
	struct assay_audit r = { 0 };
	uint32_t access;

	if (peek_access_parse(in, &access) == 0) {
		peek_access_encode(access, &w);
		must_be(in, &w);
	}
	if (peek_subject_parse(in, &r) == 0) {
		peek_subject_encode(&r, &w);
		must_be(in, &w);
	} else if (r.have) {
		abort();
	}
	return 0;
}
