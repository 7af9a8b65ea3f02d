/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a list and the PCRs stand to each other, and what follows: a pure decision over the list's
 * bytes and what the TPM was seen to hold (docs/decisions/0022-recovery.md). It never asks the TPM.
 */
#pragma once

#include "engine/replay.h"
#include "formats/segment.h"

enum assay_recover_verdict {
	ASSAY_RECOVER_BROKEN,	/* list and PCRs do not agree: extend nothing old */
	ASSAY_RECOVER_RESET,	/* the PCRs went back: a new segment */
	ASSAY_RECOVER_CONTINUE, /* each PCR has its place; what is missing is to be extended */
	ASSAY_RECOVER_COUNT
};

struct assay_recover_input {
	const struct assay_segment_head *head;
	struct assay_bytes records;
	struct assay_banks banks;		/* allocated now */
	const struct assay_pcr_value *observed; /* ASSAY_PCRS of them */
	struct assay_tpm_clock clock;		/* now */
};

struct assay_recover_place {
	uint64_t steps; /* that the list has for this PCR, without the kernel's announced ones */
	uint64_t found; /* how many of them the PCR has; valid if the verdict is CONTINUE */
	uint64_t upto;	/* records of this PCR below this index are steps or covered by one */
	bool kernel;	/* the list has announced records of the kernel's for it */
};

struct assay_recover_plan {
	enum assay_recover_verdict verdict;
	struct assay_recover_place pcr[ASSAY_PCRS];
	uint64_t records, missing; /* steps that are to be extended */
	uint32_t padded;	   /* bit per bank: it holds the kernel's padded SHA-1 digests */
	bool counts_changed;	   /* resetCount or restartCount: with CONTINUE, a resume */
	char why[160];		   /* BROKEN: what does not agree, for a person */
};

/*
 * Decides. The replay, which has taken all records, goes to *ret_replay (caller frees); it is NULL
 * when the banks are not those of the segment. Errors: -EBADMSG the list does not replay, -ENOMEM.
 */
int assay_recover_decide(const struct assay_crypto *crypto, const struct assay_recover_input *in,
			 struct assay_recover_plan *ret, struct assay_replay **ret_replay,
			 struct assay_err *err);
