/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/worker/worker_msg.h"

#include <errno.h>

#include "base/rd.h"

void worker_job_put(struct assay_wr *w, const struct worker_job *job)
{
	assay_wr_u64(w, job->id);
	assay_wr_u32(w, job->wanted);
	assay_wr_u32(w, job->alg);
	assay_wr_u64(w, job->size_max);
}

static bool get_job(struct assay_rd *in, struct worker_job *ret)
{
	uint32_t alg;

	if (!assay_rd_u64(in, &ret->id) || !assay_rd_u32(in, &ret->wanted) ||
	    !assay_rd_u32(in, &alg) || !assay_rd_u64(in, &ret->size_max))
		return false;
	if (ret->wanted & ~(uint32_t)WORKER_WANTED_MASK || alg >= ASSAY_HASH_COUNT)
		return false;
	ret->alg = (enum assay_hash)alg;
	return true;
}

int worker_jobs_parse(struct assay_bytes body, struct worker_job ret[WORKER_BATCH_MAX],
		      uint32_t *ret_n)
{
	struct assay_rd in = assay_rd(body);
	uint32_t n = 0;

	do {
		if (n == WORKER_BATCH_MAX)
			return -E2BIG;
		if (!get_job(&in, &ret[n++]))
			return -EBADMSG;
	} while (!assay_rd_end(&in));
	*ret_n = n;
	return 0;
}

static void put_digest(struct assay_wr *w, const struct assay_digest *d)
{
	assay_wr_u32(w, d->alg);
	assay_wr_bytes(w, assay_digest_bytes(d)); /* none: of size 0 */
}

void worker_finding_put(struct assay_wr *w, const struct worker_finding *f)
{
	assay_wr_u64(w, f->id);
	assay_wr_u32(w, f->status);
	assay_wr_u32(w, f->elf);
	assay_wr_u64(w, f->bytes);
	put_digest(w, &f->digest);
	put_digest(w, &f->verity);
}

static bool get_digest(struct assay_rd *in, struct assay_digest *ret)
{
	uint32_t alg;

	memset(ret, 0, sizeof(*ret));
	if (!assay_rd_u32(in, &alg) || alg > ASSAY_HASH_COUNT)
		return false;
	ret->alg = (enum assay_hash)alg;
	if (alg < ASSAY_HASH_COUNT && assay_hash_size(ret->alg) == 0)
		return false;
	return assay_rd_copy(in, ret->data, assay_hash_size(ret->alg));
}

static bool get_finding(struct assay_rd *in, struct worker_finding *ret)
{
	uint32_t status, elf;

	if (!assay_rd_u64(in, &ret->id) || !assay_rd_u32(in, &status) || !assay_rd_u32(in, &elf) ||
	    !assay_rd_u64(in, &ret->bytes) || !get_digest(in, &ret->digest) ||
	    !get_digest(in, &ret->verity))
		return false;
	if (status >= WORKER_STATUS_COUNT || elf > 1)
		return false;
	ret->status = (enum worker_status)status;
	ret->elf = elf;
	return true;
}

int worker_findings_parse(struct assay_bytes body, struct worker_finding ret[WORKER_BATCH_MAX],
			  uint32_t *ret_n)
{
	struct assay_rd in = assay_rd(body);
	uint32_t n = 0;

	do {
		if (n == WORKER_BATCH_MAX)
			return -E2BIG;
		if (!get_finding(&in, &ret[n++]))
			return -EBADMSG;
	} while (!assay_rd_end(&in));
	*ret_n = n;
	return 0;
}
