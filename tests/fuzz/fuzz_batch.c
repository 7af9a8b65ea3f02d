/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batch and state buffers: what is accepted has one writing. */
#include <stdlib.h>

#include "base/hex.h"
#include "formats/batch.h"

static void check_batch(struct assay_bytes in)
{
	uint8_t again[ASSAY_BATCH_SIZE_MAX];
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct assay_batch b;

	if (assay_batch_parse(in, &b, NULL) < 0)
		return;
	assay_batch_encode(&b, &w);
	if (!assay_batch_is(in) || !assay_bytes_equal(assay_wr_done(&w), in))
		abort();
}

/* Undoes the escapes of the event's name and writes it again. */
static void check_state(struct assay_bytes in)
{
	char name[ASSAY_STATE_SIZE_MAX + 1], again[ASSAY_STATE_SIZE_MAX + 16];
	struct assay_wr raw = assay_wr(name, sizeof(name)), w = assay_wr(again, sizeof(again));
	struct assay_bytes event;

	if (assay_state_check(in, NULL) < 0)
		return;
	event = assay_state_get(in, "event");
	for (size_t i = 0; i < event.len; i++) {
		uint8_t c = event.data[i];

		if (c == '\\' && assay_hex_decode(assay_bytes(event.data + i + 2, 2), &c, 1) == 1)
			i += 3;
		assay_wr_u8(&raw, c);
	}
	assay_state_add(&w, "event", assay_wr_done(&raw));
	if (!assay_state_is(in) || in.len < 4 + w.len || memcmp(in.data + 4, again, w.len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_batch(assay_bytes(data, size));
	check_state(assay_bytes(data, size));
	return 0;
}
