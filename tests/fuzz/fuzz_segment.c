/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A head that is read is written back the same, but for its checksum; records are within the file.
 */
#include <stdlib.h>

#include "formats/segment.h"

static int no_hash(void *ctx, struct assay_bytes in, uint8_t ret[static 32])
{
	(void)ctx;
	(void)in;
	memset(ret, 0, 32);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[ASSAY_SEGMENT_HEAD_SIZE];
	struct assay_segment_hasher hasher = { .sha256 = no_hash };
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct assay_bytes file = assay_bytes(data, size), records;
	struct assay_segment_head head;

	if (assay_segment_parse(file, NULL, &head, &records, NULL) < 0)
		return 0;
	if (assay_segment_encode(&head, &hasher, &w) < 0 ||
	    memcmp(again, data, sizeof(again) - 32) != 0 ||
	    records.data != data + ASSAY_SEGMENT_RECORDS ||
	    records.len > size - ASSAY_SEGMENT_RECORDS)
		abort();
	return 0;
}
