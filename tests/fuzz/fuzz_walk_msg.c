/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What walker and main say to each other: what is read is written back the same. */
#include <stdlib.h>

#include "programs/assayd/scout/walk_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be(struct assay_bytes in, struct assay_wr *w)
{
	if (!assay_bytes_equal(assay_wr_done(w), in))
		abort();
	w->len = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[4096];
	struct walk_file file[IPC_FDS_MAX];
	struct assay_wr w = assay_wr(again, sizeof(again));
	struct assay_bytes in = assay_bytes(data, size);
	struct walk_request request;
	struct walk_failure failure;
	struct walk_device device;
	struct assay_rd rest = assay_rd(in);
	uint32_t n;

	if (walk_device_read(&rest, &device) && assay_rd_end(&rest)) {
		walk_device_write(&w, &device);
		must_be(in, &w);
	}
	if (walk_request_parse(in, &request) == 0) {
		walk_request_encode(&request, &w);
		must_be(in, &w);
	}
	if (walk_files_parse(in, file, &n) == 0) {
		walk_files_encode(file, n, &w);
		must_be(in, &w);
	}
	if (walk_failure_parse(in, &failure) == 0) {
		walk_failure_encode(&failure, &w);
		must_be(in, &w);
	}
	return 0;
}
