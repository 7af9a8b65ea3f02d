/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* First byte: the message's type. What is accepted has one writing. */
#include "programs/assayd/anchor/anchor_msg.h"
#include "fuzz/again.h"

static uint8_t again[2 * IPC_BODY_MAX];

/* One more; false: it is none. */
static bool copy_one(uint32_t type, struct assay_rd *in, struct assay_wr *w)
{
	struct anchor_result result;
	struct anchor_event event;

	if (type == ANCHOR_MSG_EVENTS && anchor_event_decode(in, &event) == 0)
		anchor_event_encode(&event, w);
	else if (type == ANCHOR_MSG_RESULTS && anchor_result_decode(in, &result) == 0)
		anchor_result_encode(&result, w);
	else
		return false;
	return true;
}

static void check_many(uint32_t type, struct assay_bytes body)
{
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct assay_rd in = assay_rd(body);
	size_t good = ANCHOR_MANY_HEAD;
	uint32_t n;
	bool more;

	if (anchor_many_begin(&in, &more, &n) < 0)
		return;
	assay_wr_zero(&w, ANCHOR_MANY_HEAD);
	anchor_many_head(more, n, again);
	for (; n > 0 && copy_one(type, &in, &w); n--)
		good = assay_rd_offset(&in);
	must_be(assay_bytes(body.data, good), &w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct assay_bytes body = assay_bytes(data + 1, size - 1);
	static struct anchor_msg m;

	if (size == 0 || size > IPC_BODY_MAX)
		return 0;
	if (data[0] == ANCHOR_MSG_EVENTS || data[0] == ANCHOR_MSG_RESULTS)
		check_many(data[0], body);
	else if (anchor_msg_decode(data[0] >= ANCHOR_MSG_READY, data[0], body, &m, NULL) == 0) {
		anchor_msg_encode(&m, &w);
		must_be(body, &w);
	}
	return 0;
}
