/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of openers: what is read is written back the same, and what is not is not begun. */
#include <stdlib.h>

#include "programs/assayd/peek/peek_msg.h"
#include "fuzz/again.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[8192];
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct assay_bytes in = assay_bytes(data, size);
	struct assay_audit r = { 0 };
	struct peek_opener o;

	if (peek_opener_parse(in, &o) == 0) {
		peek_opener_encode(&o, &w);
		must_be(in, &w);
	}
	if (peek_audit_parse(in, &r) == 0) {
		peek_audit_encode(&r, &w);
		must_be(in, &w);
	} else if (r.have) {
		abort();
	}
	return 0;
}
