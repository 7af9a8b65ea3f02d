/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What parses prints to a text that parses to the same and prints the same. */
#include <stdlib.h>

#include "formats/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t text[ASSAY_CONF_SIZE_MAX];
	static struct assay_conf first, second;
	struct assay_wr w = assay_wr(text, sizeof(text));
	struct assay_err err;

	if (assay_conf_parse(assay_bytes(data, size), &first, &err) < 0) {
		if (!err.text[0] || (size <= ASSAY_CONF_SIZE_MAX && (!err.line || !err.column)))
			abort();
		return 0;
	}
	assay_conf_print(&first, &w);
	if (!assay_wr_ok(&w) || assay_conf_parse(assay_wr_done(&w), &second, &err) < 0 ||
	    memcmp(&first, &second, sizeof(first)) != 0)
		abort();
	return 0;
}
