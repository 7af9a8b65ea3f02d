/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What parses is the one writing of what it means. */
#include <stdlib.h>

#include "formats/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t text[4 * ASSAY_AUDIT_LINE_MAX];
	struct assay_wr w = assay_wr(text, sizeof(text));
	uint8_t *space = malloc(size + 1);
	struct assay_audit r;
	struct assay_err err = { 0 };

	if (assay_audit_parse(assay_bytes(data, size), space, size, &r, &err) == 0) {
		assay_audit_encode(&r, &w);
		if (!assay_bytes_equal(assay_wr_done(&w), assay_bytes(data, size)))
			abort();
		w.len = 0;
		assay_audit_print(&r, true, &w);
		if (!assay_wr_ok(&w) || (w.len && memchr(text, '\'', w.len)))
			abort();
	} else if (!err.text[0]) {
		abort();
	}
	free(space);
	return 0;
}
