/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What scout and main say to each other: what is read is written back the same. */
#include "programs/assayd/scout/scout_msg.h"
#include "fuzz/again.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scout_place skip[SCOUT_SKIP_MAX];
	static uint8_t again[4096];
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct assay_bytes in = assay_bytes(data, size);
	struct scout_summary sum;
	struct scout_mount m;
	uint32_t n;

	if (scout_mount_parse(in, &m) == 0) {
		scout_mount_encode(&m, &w);
		must_be(in, &w);
	}
	if (scout_skips_parse(in, skip, &n) == 0) {
		scout_skips_encode(skip, n, &w);
		must_be(in, &w);
	}
	if (scout_place_parse(in, &m.place) == 0) {
		scout_place_encode(&m.place, &w);
		must_be(in, &w);
	}
	if (scout_summary_parse(in, &sum) == 0) {
		scout_summary_encode(&sum, &w);
		must_be(in, &w);
	}
	return 0;
}
