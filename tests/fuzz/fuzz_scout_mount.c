/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read is written back the same. */
#include <stdlib.h>

#include "programs/assayd/scout/scout_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[4096];
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct scout_mount m;

	if (scout_mount_parse(assay_bytes(data, size), &m) < 0)
		return 0;
	scout_mount_encode(&m, &w);
	if (w.len != size || memcmp(again, data, size) != 0)
		abort();
	return 0;
}
