/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine as a function of complete facts: an event comes in with all that is known about it,
 * a decision and new list records come out, or the mask of facts that are still missing. Nothing
 * here fetches, waits, prints or locks; the caller serialises calls on one core.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "engine/core/policy.h"
#include "engine/ports.h"
#include "formats/template.h"

struct assay_core;

struct assay_core_config {
	enum assay_hash hash;	     /* of file contents; also the key of deduplication */
	struct assay_bytes template; /* default template; borrowed for the core's life */
	uint32_t pcr;		     /* default PCR */
	struct assay_banks banks;    /* that batch records carry */
};

#define ASSAY_CORE_DATA_MAX 65536u /* template data of one record that assay writes */

/*
 * Everything in @arena but the hash contexts of the crypto port, which assay_core_done() frees;
 * @ports is copied. Errors: -ENOMEM, -EOPNOTSUPP a hash or template that it cannot write.
 */
int assay_core_new(struct assay_arena *arena, const struct assay_ports *ports,
		   const struct assay_core_config *config, struct assay_core **ret,
		   struct assay_err *err);
void assay_core_done(struct assay_core *c); /* NULL allowed */

/*
 * The policy in force from now on; borrowed until the next call. NULL: none, everything is allowed
 * and nothing measured. Errors: -EOPNOTSUPP a measure rule that asks for what cannot be written (a
 * template with signatures, a PCR that no TPM has); @err has the rule's line, the policy of before
 * stays.
 */
int assay_core_set_policy(struct assay_core *c, const struct assay_policy *policy,
			  struct assay_err *err);

/* The same checks without a core: may one with @config be given this policy, and exist? */
int assay_core_check_policy(const struct assay_core_config *config,
			    const struct assay_policy *policy, struct assay_err *err);

/* What is known about an event. Unset groups are named by what is not in @have. */
struct assay_facts {
	uint32_t have; /* ASSAY_FACT_ mask */
	struct assay_match_facts match;
	struct assay_bytes path; /* absolute, without NUL; as the opener's mounts show it */
	struct assay_digest digest, verity;
	struct assay_bytes sig, evmsig, modsig;
	struct assay_digest modsig_digest;
	uint16_t mode; /* i_mode; owner ids are match.fowner and match.fgroup */
	struct assay_bytes xattr_names, xattr_lengths, xattr_values;
	struct assay_bytes buffer_name, buffer; /* keys, critical data */
	bool open_writers; /* another opener may be writing: a violation if it is measured */
	bool unreadable; /* the content cannot be read (direct I/O, an error): measured as zeros */
};

/* Zeroed memory denies. */
enum assay_verdict { ASSAY_DENY, ASSAY_ALLOW };

#define ASSAY_NO_RECORD UINT64_MAX

struct assay_decision {
	enum assay_verdict verdict;
	uint32_t need; /* not 0: call again with these facts too; nothing below is valid */
	struct assay_match match;
	bool holds_for_all; /* the next opener gets the same: the kernel may answer it by itself */
	uint32_t n_new;	    /* records that were appended */
	/* The caller may be released once this record is anchored: a new one, or the equal one that
	 * is in the list already. ASSAY_NO_RECORD: at once. */
	uint64_t wait_for;
};

/*
 * Judges one event. On success *ret is filled. Errors: -ENOSPC the list is full, -EIO it cannot be
 * written (the caller decides whether openers wait, and records the gap with assay_core_gap()); the
 * state is as it was, but for a violation record that fitted when its measurement did not.
 */
int assay_event(struct assay_core *c, const struct assay_facts *facts, struct assay_decision *ret,
		struct assay_err *err);

/* A violation on a file that was measured; the record is the kernel's (zero digest, 0xff into the
 * PCR). */
int assay_core_violation(struct assay_core *c, struct assay_bytes path, uint64_t *ret_index,
			 struct assay_err *err);

/* A buffer, measured whatever the policy says ("assay-state" records and the like). Equal records
 * are not dropped. *ret_index may be NULL. */
int assay_core_buffer(struct assay_core *c, uint32_t pcr, const char *name, struct assay_bytes buf,
		      uint64_t *ret_index, struct assay_err *err);

/* The same out of the reserved space, for when the list is full. */
int assay_core_gap(struct assay_core *c, struct assay_bytes buf, uint64_t *ret_index,
		   struct assay_err *err);

/* boot_aggregate over PCR 0 to 9 (measurement-list rules: the default hash's bank, else sha256,
 * else sha1; PCR 0 to 7 for sha1). @values NULL: no TPM, zero digest. */
int assay_core_boot_aggregate(struct assay_core *c, const struct assay_pcr_value values[ASSAY_PCRS],
			      uint64_t *ret_index, struct assay_err *err);

/*
 * Takes back a record that is in the list already (restart): for deduplication, indexes, the mode
 * and pending batches. In order, all of them, before the first event. @pending: no batch record
 * covers it yet, and one must.
 */
struct assay_record;
int assay_core_restore(struct assay_core *c, const struct assay_record *record, bool pending,
		       struct assay_err *err);

/*
 * Appends a record that was made elsewhere, whatever the policy says. @extended: the kernel's own,
 * which is in the PCR already, so that no batch record covers it; else one of a segment that was
 * closed before it was anchored.
 */
int assay_core_adopt(struct assay_core *c, const struct assay_record *record, bool extended,
		     struct assay_err *err);

uint64_t assay_core_records(const struct assay_core *c); /* in the list */
uint64_t assay_core_violations(const struct assay_core *c);

/* ---- batches -------------------------------------------------------------------------------- */

/* each: every record is a step. group: records wait for a batch record. */
enum assay_batching { ASSAY_BATCHING_EACH, ASSAY_BATCHING_GROUP };

/*
 * Changes the mode by an "assay-state" record (event=mode, @word: each, group or ordered) that is
 * extended by itself. Nothing may be pending: -EBUSY, commit first.
 */
int assay_core_set_batching(struct assay_core *c, enum assay_batching mode, const char *word,
			    struct assay_err *err);

/* PCRs that have records which no batch record covers yet: bit per PCR. */
uint32_t assay_core_pending(const struct assay_core *c);

/* Appends the batch record of @pcr, which covers all of its pending records; to be extended by
 * itself. Errors as assay_event(). */
int assay_core_commit(struct assay_core *c, uint32_t pcr, uint64_t *ret_index,
		      struct assay_err *err);
