/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker says, and what it is told, is put back as the same bytes. */
#include <stdlib.h>

#include "programs/assayd/worker/worker_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[WORKER_BATCH_MAX * WORKER_FINDING_SIZE_MAX];
	static struct worker_finding finding[WORKER_BATCH_MAX];
	static struct worker_job job[WORKER_BATCH_MAX];
	struct assay_wr w = assay_wr(again, sizeof(again));
	uint32_t n;

	if (worker_findings_parse(assay_bytes(data, size), finding, &n) == 0) {
		for (uint32_t i = 0; i < n; i++)
			worker_finding_put(&w, &finding[i]);
		if (!assay_wr_ok(&w) || w.len != size || memcmp(again, data, size) != 0)
			abort();
	}
	w = assay_wr(again, sizeof(again));
	if (worker_jobs_parse(assay_bytes(data, size), job, &n) == 0) {
		for (uint32_t i = 0; i < n; i++)
			worker_job_put(&w, &job[i]);
		if (!assay_wr_ok(&w) || w.len != size || memcmp(again, data, size) != 0)
			abort();
	}
	return 0;
}
