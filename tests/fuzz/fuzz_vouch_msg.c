/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of exempt processes, to each question: what is read is written back the same. */
#include "programs/assayd/vouch/vouch_msg.h"
#include "fuzz/again.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[8192];
	static struct vouch_told told;
	struct assay_bytes in = assay_bytes(data, size);

	for (unsigned q = VOUCH_PROGRAM; q <= VOUCH_LISTENER; q++) {
		struct assay_wr w = assay_wr(again, sizeof(again));

		if (vouch_told_parse(in, (enum vouch_message)q, ASSAY_HASH_SHA256, &told) < 0)
			continue;
		vouch_told_encode((enum vouch_message)q, &told, &w);
		must_be(in, &w);
	}
	return 0;
}
