/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes into "policy", cut at bytes of 0xff: what is taken never exceeds what was written, the
 * text is what was taken line by line, and after a write that is refused nothing is loaded. */
#include <stdlib.h>

#include "backends/view_fuse/upload.h"
#include "formats/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_rule(void *ctx, struct assay_bytes line)
{
	static uint8_t memory[1 << 20];
	struct assay_policy_text unused;
	struct assay_arena arena;

	(void)ctx;
	if (assay_policy_arena_size(line) > sizeof(memory) || memchr(line.data, '\n', line.len))
		abort();
	assay_arena_init(&arena, memory, sizeof(memory));
	return assay_policy_parse(line, NULL, &arena, &unused, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct assay_view_check check = { check_rule, NULL };
	struct assay_view_upload u = { 0 };
	struct assay_bytes text, path;
	uint64_t sum = 0, writes = 0;

	for (size_t at = 0; at < size;) {
		const uint8_t *end = memchr(data + at, 0xff, size - at);
		size_t len = (end ? (size_t)(end - data) : size) - at, taken;
		bool invalid = u.invalid;

		if (assay_view_upload_write(&u, &check, assay_bytes(data + at, len), sum, &taken,
					    &path) == 0) {
			if (taken > len || path.len > len || (len > 0 && taken == 0) ||
			    u.invalid != invalid)
				abort();
			sum += taken;
			writes++;
			at += taken + (taken == len);
		} else if (!u.invalid) {
			abort();
		} else {
			at += len + 1;
		}
	}
	text = assay_view_upload_take(&u);
	if (text.len && (u.invalid || text.data[text.len - 1] != '\n' || text.len > sum + writes))
		abort();
	assay_view_upload_done(&u);
	return 0;
}
