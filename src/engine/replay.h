/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replays a measurement list: checks each record, finds the steps that extend PCRs, and what value
 * the PCRs take. Used to verify lists and to find one's place after a crash. Memory does not grow
 * with the list.
 *
 * A step is an extend: a record by itself, or a batch record, which covers the records of its PCR
 * that came before it and are not covered yet. Which it is follows from the list (the rules:
 * docs/formats/batch.md):
 *   - A list begins in mode "each": every record is a step.
 *   - An "assay-state" record with event=mode changes the mode for what follows. It is a step, and
 *     nothing may be pending before it.
 *   - In mode "group" a batch record is a step, every other record waits for one.
 *   - An "assay-state" record with event=kernel and count=N says that the N records after it are
 *     the kernel's own: each of them is a step, in any mode. With at=I they were extended before
 *     every step from entry I on; index=X is where the state record itself stands.
 * In the anchored form of a list the records that wait are left out, and so all that is there is a
 * step. It is known by its first batch record, for which nothing waits.
 */
#pragma once

#include "base/macros.h"
#include "engine/checker.h"
#include "engine/ports.h"
#include "engine/tail.h"
#include "formats/mlist.h"

/*
 * How a kernel extended banks: 5.8 and later each bank with its own digest; before, and for
 * algorithms that it lacks, the SHA-1 digest padded with zeros. For a violation it extends 0xff: as
 * many as the bank's digest has, or, where it pads everything, 20 and then zeros. A list may need
 * one for some banks and another for others. Where a padding kernel's records are
 * followed by assayd's, the first assay-state record ends the padding, but for the records that an
 * event=kernel record announces.
 */
enum assay_extend_kind {
	ASSAY_EXTEND_REAL,
	ASSAY_EXTEND_PADDED,	/* violations too: before 5.8, and banks the kernel cannot name */
	ASSAY_EXTEND_PADDED_FF, /* violations whole: banks whose algorithm could not be loaded */
	ASSAY_EXTEND_KIND_COUNT
};

enum assay_list_mode { ASSAY_LIST_EACH, ASSAY_LIST_GROUP };

/* What a record is to the list. */
enum assay_record_role {
	ASSAY_ROLE_STEP,    /* extended by itself */
	ASSAY_ROLE_COVERED, /* waits for a batch record */
	ASSAY_ROLE_BATCH,   /* extended, covers others */
};

struct assay_replay; /* the running state */

/* One step, given to the caller as it is found. */
struct assay_step {
	uint64_t index;	 /* of the record in the list, from 0 */
	uint64_t offset; /* of the record in the list, bytes */
	uint64_t upto;	 /* records below this index and of this PCR are anchored by it */
	uint32_t pcr;
	bool kernel; /* announced as the kernel's: never ours to extend */
	/* Digests per bank of the replay, real form: what goes into the extend. */
	struct assay_pcr_value digests;
};

/*
 * @banks are the PCR banks to follow. @base: the value of each PCR before the first record, or NULL
 * for zero. Frees with assay_replay_free(). Errors: -ENOMEM, -EOPNOTSUPP a bank that the crypto
 * lacks.
 */
int assay_replay_new(const struct assay_crypto *crypto, const struct assay_banks *banks,
		     const struct assay_pcr_value base[ASSAY_PCRS], struct assay_replay **ret);
void assay_replay_free(struct assay_replay *r);

/* Another one that has taken the same records. Frees with assay_replay_free(). Errors: -ENOMEM. */
int assay_replay_copy(const struct assay_replay *r, struct assay_replay **ret);

/* Before the first record: another form than little-endian with the sha1 column. -EOPNOTSUPP. */
int assay_replay_set_form(struct assay_replay *r, const struct assay_list_form *form);

/* Before the first record: whether the values of @kind are computed; all are unless told. */
void assay_replay_follow(struct assay_replay *r, enum assay_extend_kind kind, bool follow);

/* Before the first record: the list is our own, not evidence to be judged. Of a batch record the
 * digest of one bank is compared with what it covers: damage shows in any. */
void assay_replay_set_own(struct assay_replay *r);

/* Before the first record: the list is known to be of the anchored form (below). */
void assay_replay_set_anchored(struct assay_replay *r);

/*
 * Takes the next record. @ret_step, which may be NULL, is filled if it is a step (*ret_is_step).
 * Errors, after which the replay can go no further: -EBADMSG, -EOPNOTSUPP fields wrong or unknown,
 * -EKEYREJECTED the template digest is not that of the data, or a batch record does not cover what
 * it says; @err has the text, and @offset.
 */
int assay_replay_record(struct assay_replay *r, const struct assay_record *record, uint64_t offset,
			bool *ret_is_step, struct assay_step *ret_step, struct assay_err *err);

/* The same for a record that a checker found good already. @digests are completed if it is a step.
 */
int assay_replay_checked(struct assay_replay *r, const struct assay_record *record, uint64_t offset,
			 struct assay_record_digests *digests, bool *ret_is_step,
			 struct assay_step *ret_step, struct assay_err *err);

/* The value of @pcr after the steps so far. */
void assay_replay_pcr(const struct assay_replay *r, uint32_t pcr, enum assay_extend_kind kind,
		      struct assay_pcr_value *ret);

/* The same, borrowed until the next record; zeros if that kind is not followed. */
const struct assay_pcr_value *assay_replay_value(const struct assay_replay *r, uint32_t pcr,
						 enum assay_extend_kind kind);

/* The buffer of the last record if that was a state record, else empty; borrowed from the record.
 */
struct assay_bytes assay_replay_state(const struct assay_replay *r);

/* Whether @record is a state record by its shape, whatever the list makes of it; its buffer. */
bool assay_replay_is_state(const struct assay_replay *r, const struct assay_record *record,
			   struct assay_bytes *ret_buf);

/* How many steps of its PCR stand behind the last record, which was put before them. */
uint32_t assay_replay_behind(const struct assay_replay *r);

/* The @back-th last step of @pcr (1: the last), borrowed until the next record; NULL: there is
 * none, or nothing may go before it any more. */
const struct assay_tail_step *assay_replay_tail(struct assay_replay *r, uint32_t pcr,
						uint32_t back);

/* Whether a record of the kernel's can go before entry @index in each of @pcrs, when the replay has
 * taken @more steps of ours. */
bool assay_replay_reaches(const struct assay_replay *r, uint32_t pcrs, uint64_t index,
			  uint64_t more);

/* The lowest index before whose steps something may still go in @pcr. */
uint64_t assay_replay_floor(const struct assay_replay *r, uint32_t pcr);

/* Records that an event=kernel record announced and that did not come yet. */
uint64_t assay_replay_kernel_left(const struct assay_replay *r);

/* The index before whose steps the last record was put; UINT64_MAX: it is where it stands. */
uint64_t assay_replay_placed(const struct assay_replay *r);

uint64_t assay_replay_records(const struct assay_replay *r); /* taken so far */
/* Of these, the announced ones of the kernel's; and the steps of @pcr without such. */
uint64_t assay_replay_announced(const struct assay_replay *r);
uint64_t assay_replay_steps(const struct assay_replay *r, uint32_t pcr);
uint64_t assay_replay_pending(const struct assay_replay *r); /* covered by no batch record yet */
/* The same of one PCR, and the index of its first pending record. */
uint64_t assay_replay_pending_pcr(const struct assay_replay *r, uint32_t pcr, uint64_t *ret_first);
uint64_t assay_replay_batches(const struct assay_replay *r);
/* Records for which batch records stand but which the list does not hold: the anchored form. */
uint64_t assay_replay_absent(const struct assay_replay *r);
enum assay_list_mode assay_replay_mode(const struct assay_replay *r);
enum assay_record_role assay_replay_role(const struct assay_replay *r); /* of the last record */
AUTO_DEFINE(replay);
