/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What another assayd says is put back as the same bytes. */
#include <stdlib.h>

#include "programs/assayd/main/handover_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[HANDOVER_ONCE * 32];
	struct handover_event e[HANDOVER_ONCE];
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct handover_group g;
	uint32_t n = (uint32_t)size / 20;

	if (handover_group_decode(assay_bytes(data, size), &g) == 0) {
		handover_group_encode(&g, &w);
		if (w.len != size || memcmp(again, data, size) != 0)
			abort();
	}
	w = assay_wr(again, sizeof(again));
	if (handover_events_decode(assay_bytes(data, size), n, HANDOVER_FLOOR, e) == 0) {
		for (uint32_t i = 0; i < n; i++)
			handover_event_encode(&e[i], &w);
		if (w.len != size || memcmp(again, data, size) != 0)
			abort();
	}
	return 0;
}
