/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Judges a whole measurement list against PCR values that somebody read or a quote vouches for:
 * how far each value reaches, and whether all of them tell one story. Memory does not grow with the
 * list. The checks of single records may be done elsewhere first, on several threads, by checkers.
 */
#pragma once

#include "base/macros.h"
#include "engine/replay.h"

#define ASSAY_CLAIMS_MAX (ASSAY_BANKS_MAX * (ASSAY_RECORD_PCR_MAX + 1))

/* A PCR value. */
struct assay_pcr_claim {
	enum assay_hash alg;
	uint32_t pcr;
	uint8_t value[ASSAY_HASH_SIZE_MAX];
};

struct assay_verify_config {
	size_t size;
	struct assay_crypto crypto;
	struct assay_list_form form;
	const struct assay_pcr_claim *claims; /* copied */
	size_t n_claims;
	/* PCR values before the first record, or NULL for zero; value[i] belongs to
	 * base_banks.alg[i]. */
	const struct assay_pcr_value *base; /* ASSAY_PCRS of them */
	struct assay_banks base_banks;
	/* 32 bytes that the first "segment" record names if it vouches for @base; NULL: nothing
	 * does. */
	const uint8_t *head;
	bool padded;   /* also try extends of padded SHA-1 digests: more work */
	bool anchored; /* the list is of the anchored form, as a first run found */
	/*
	 * Do not compute the digests of the list's column. Sound only if assay_verify_columns()
	 * says so at the end; else run again without. The reason: where the column's bank and
	 * another one are reached, every stated digest is what was extended, and so is the data's
	 * digest in the other bank: nothing in the list can have been changed.
	 */
	bool quick;
};

struct assay_verify;

/* Errors: -E2BIG more claims or banks than the limits, -EINVAL two values for one PCR and bank,
 * -EOPNOTSUPP a bank that crypto or base lack. */
int assay_verify_new(const struct assay_verify_config *config, struct assay_verify **ret,
		     struct assay_err *err);
void assay_verify_free(struct assay_verify *v);
AUTO_DEFINE(verify);

/* A checker to copy, one for each thread. */
const struct assay_checker *assay_verify_checker(const struct assay_verify *v);

/* The next record; @digests by such a checker: assay_checker_record() will do. Errors: those of
 * assay_replay_checked(). */
int assay_verify_record(struct assay_verify *v, const struct assay_record *record, uint64_t offset,
			struct assay_record_digests *digests, struct assay_err *err);

const struct assay_replay *assay_verify_replay(const struct assay_verify *v);

/* How far one claim reaches. */
struct assay_reach {
	bool reached;
	enum assay_extend_kind kind;
	uint64_t steps; /* of this PCR; 0: its value before the first record */
	uint64_t index; /* of the record whose step made the value; not for steps 0 */
	/* Of this PCR's next step, UINT64_MAX if there is none. Not above @index where that is a
	 * record of the kernel's that was put before steps which the value lacks. */
	uint64_t next;
	uint64_t proved; /* entries of this PCR that are covered */
};

enum assay_pcr_state {
	ASSAY_PCR_NOT_REACHED, /* some bank's value is that of no prefix */
	ASSAY_PCR_DISAGREE,    /* the banks are reached at different entries */
	ASSAY_PCR_UNTOUCHED,   /* at its first value, though the list extends it before the
				* position of other PCRs, or there are none */
	ASSAY_PCR_NO_CLAIM,    /* the list has entries for it, but no value was given */
	ASSAY_PCR_REACHED,
};

/* What was found of one PCR that has entries or a claim. */
struct assay_pcr_finding {
	uint32_t pcr;
	enum assay_pcr_state state;
	uint64_t entries, steps; /* in the list */
	struct assay_reach best; /* the longest prefix that some bank reaches */
	uint64_t uncovered;	 /* entries behind it, those that wait included */
	uint32_t n_claims;
	const struct assay_pcr_claim *claim[ASSAY_BANKS_MAX];
	struct assay_reach reach[ASSAY_BANKS_MAX];
};

/* The finding of @pcr. False: no entries and no claim. */
bool assay_verify_pcr(const struct assay_verify *v, uint32_t pcr, struct assay_pcr_finding *ret);

/* Whether the claims prove entry @index of @pcr, which was put before the steps from entry @placed
 * on (UINT64_MAX: it was extended where it stands). */
bool assay_verify_proves(const struct assay_verify *v, uint32_t pcr, uint64_t index,
			 uint64_t placed);

/* Whether the claims alone prove the column of every record: each PCR with entries is reached to
 * its last, by the column's bank and by another, and every record is extended by itself. */
bool assay_verify_columns(const struct assay_verify *v);

struct assay_verify_summary {
	uint64_t entries, waiting, absent, batches, boot_aggregates;
	uint64_t violations, bare_violations; /* bare: no batch record protects the data */
	uint64_t uncovered;		      /* entries that no given value proves */
	bool any_reached, all_reached;
	bool base_set;	   /* a PCR with entries and a value did not begin at zero */
	bool head_said;	   /* an entry names the head, proved or not */
	bool base_vouched; /* an entry that the values prove says that it began there */
	bool one_moment;   /* there was a moment at which all PCRs had the given values */
	bool want_padded;  /* a value was not reached, and padded extends were not tried */
};
void assay_verify_summary(const struct assay_verify *v, struct assay_verify_summary *ret);
