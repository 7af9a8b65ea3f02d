/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What main's loop and a worker process say to each other (docs/formats/ipc.md): many files in one
 * message each way. Bytes to structs and back, pure; whether an answer fits what was asked is the
 * loop's to check.
 */
#pragma once

#include "base/bytes.h"
#include "base/wr.h"
#include "formats/hash.h"

enum worker_message {
	WORKER_JOBS = 1, /* main: files to read, a descriptor each */
	WORKER_CANCEL,	 /* main: the file of the message's id is not wanted any more */
	WORKER_READY,	 /* worker: once, when it is in its sandbox */
	WORKER_FINDINGS, /* worker: what was found; each job gets one, whatever became of it */
};

#define WORKER_BATCH_MAX 32u /* files in one message */

enum worker_wanted {
	WORKER_HEAD = 1u << 0,		/* whether it is an ELF file */
	WORKER_DIGEST = 1u << 1,	/* of the content */
	WORKER_DIGEST_IF_ELF = 1u << 2, /* only if it is one */
	WORKER_VERITY = 1u << 3,	/* the fs-verity digest */
	WORKER_WANTED_MASK = 15u,
};

struct worker_job {
	uint64_t id;
	uint32_t wanted;     /* WORKER_ mask */
	enum assay_hash alg; /* of the content */
	uint64_t size_max;   /* bytes; a file that gets longer meanwhile is not read further */
};

enum worker_status {
	WORKER_DONE,
	WORKER_UNREADABLE, /* an error of the medium, or direct I/O only */
	WORKER_CANCELED,
	WORKER_TOO_LARGE,
	WORKER_STATUS_COUNT,
};

struct worker_finding {
	uint64_t id;
	enum worker_status status;
	bool elf;
	uint64_t bytes;		    /* that were read for the digest */
	struct assay_digest digest; /* alg ASSAY_HASH_COUNT: none */
	struct assay_digest verity; /* the same */
};

/* Most bytes that one file takes in a message. */
#define WORKER_JOB_SIZE		24u
#define WORKER_FINDING_SIZE_MAX (32u + 2u * ASSAY_HASH_SIZE_MAX)

void worker_job_put(struct assay_wr *w, const struct worker_job *job);
void worker_finding_put(struct assay_wr *w, const struct worker_finding *f);

/* The whole body. Errors: -EBADMSG, -E2BIG more than WORKER_BATCH_MAX; none at all is -EBADMSG. */
int worker_jobs_parse(struct assay_bytes body, struct worker_job ret[WORKER_BATCH_MAX],
		      uint32_t *ret_n);
int worker_findings_parse(struct assay_bytes body, struct worker_finding ret[WORKER_BATCH_MAX],
			  uint32_t *ret_n);
