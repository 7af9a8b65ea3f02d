/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A value lies inside the line; said once more at the end it is found again, and wins. */
#include <stdlib.h>

#include "formats/cmdline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t text[8192] = "assay=";
	struct assay_bytes value, again;

	if (size > sizeof(text) / 2 || !assay_cmdline_get(assay_bytes(data, size), "assay", &value))
		return 0;
	if (value.data < data || value.len > size - (size_t)(value.data - data))
		abort();
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] == '"' || value.data[i] <= ' ')
			return 0;
	memcpy(text + 6, value.data, value.len);
	text[6 + value.len] = '\n';
	if (!assay_cmdline_get(assay_bytes(text, 7 + value.len), "assay", &again) ||
	    !assay_bytes_equal(value, again))
		abort();
	return 0;
}
