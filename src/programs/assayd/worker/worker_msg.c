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

/* As many as there are, one after another; @get writes one, of @size bytes, to @ret. */
static int parse_all(struct assay_bytes body, bool (*get)(struct assay_rd *in, void *ret),
		     void *ret, size_t size, uint32_t *ret_n)
{
	struct assay_rd in = assay_rd(body);
	uint8_t *to = ret;
	uint32_t n = 0;

	do {
		if (n == WORKER_BATCH_MAX)
			return -E2BIG;
		if (!get(&in, to + n++ * size))
			return -EBADMSG;
	} while (!assay_rd_end(&in));
	*ret_n = n;
	return 0;
}

static bool get_job(struct assay_rd *in, void *ret)
{
	struct worker_job *job = ret;
	uint32_t alg;

	if (!assay_rd_u64(in, &job->id) || !assay_rd_u32(in, &job->wanted) ||
	    !assay_rd_u32(in, &alg) || !assay_rd_u64(in, &job->size_max))
		return false;
	if (job->wanted & ~(uint32_t)WORKER_WANTED_MASK || alg >= ASSAY_HASH_COUNT)
		return false;
	job->alg = (enum assay_hash)alg;
	return true;
}

int worker_jobs_parse(struct assay_bytes body, struct worker_job ret[WORKER_BATCH_MAX],
		      uint32_t *ret_n)
{
	return parse_all(body, get_job, ret, sizeof(ret[0]), ret_n);
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

static bool get_finding(struct assay_rd *in, void *ret)
{
	struct worker_finding *f = ret;
	uint32_t status, elf;

	if (!assay_rd_u64(in, &f->id) || !assay_rd_u32(in, &status) || !assay_rd_u32(in, &elf) ||
	    !assay_rd_u64(in, &f->bytes) || !get_digest(in, &f->digest) ||
	    !get_digest(in, &f->verity))
		return false;
	if (status >= WORKER_STATUS_COUNT || elf > 1)
		return false;
	f->status = (enum worker_status)status;
	f->elf = elf;
	return true;
}

int worker_findings_parse(struct assay_bytes body, struct worker_finding ret[WORKER_BATCH_MAX],
			  uint32_t *ret_n)
{
	return parse_all(body, get_finding, ret, sizeof(ret[0]), ret_n);
}
