/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TPM in memory for tests: real PCR arithmetic, a clock, and faults that are programmed before
 * the command they strike. Safe between threads: one waits in a command while another programs.
 * Its life does not end with an anchor's: a test "kills" its daemon and opens another over the same
 * fake TPM.
 */
#pragma once

#include "engine/ports.h"

struct assay_fake_anchor;

enum assay_fake_fault {
	ASSAY_FAKE_NONE,
	ASSAY_FAKE_AGAIN,	   /* -EAGAIN, not executed */
	ASSAY_FAKE_LOCKOUT,	   /* -EPERM, not executed */
	ASSAY_FAKE_TIMEOUT_BEFORE, /* -ETIMEDOUT, not executed; the connection is lost */
	ASSAY_FAKE_TIMEOUT_AFTER,  /* -ETIMEDOUT, executed; the connection is lost */
	ASSAY_FAKE_TIMEOUT_LATE,   /* -ETIMEDOUT, executed when the connection is renewed */
	ASSAY_FAKE_IO_BEFORE,	   /* -EIO, the same three */
	ASSAY_FAKE_IO_AFTER,
	ASSAY_FAKE_GONE,  /* -ENODEV from now on, reopen() too, until assay_fake_anchor_back() */
	ASSAY_FAKE_BLOCK, /* waits until assay_fake_anchor_release(), then executes */
	ASSAY_FAKE_FAULT_COUNT
};

enum assay_fake_op {
	ASSAY_FAKE_READ,
	ASSAY_FAKE_EXTEND,
	ASSAY_FAKE_QUOTE,
	ASSAY_FAKE_REOPEN,
	ASSAY_FAKE_OP_COUNT
};

/* @crypto is borrowed; @banks NULL: sha1 and sha256. */
int assay_fake_anchor_new(const struct assay_crypto *crypto, const struct assay_banks *banks,
			  struct assay_fake_anchor **ret);
void assay_fake_anchor_free(struct assay_fake_anchor *f);
AUTO_DEFINE(fake_anchor);

struct assay_anchor assay_fake_anchor_port(struct assay_fake_anchor *f);

/* After @skip more commands of @op, @fault strikes @times of them. One program an op: the last. */
void assay_fake_anchor_fault(struct assay_fake_anchor *f, enum assay_fake_op op,
			     enum assay_fake_fault fault, uint32_t skip, uint32_t times);

/* Every extend takes @us from now on. */
void assay_fake_anchor_slow(struct assay_fake_anchor *f, uint32_t us);

/* Blocks until a command waits in ASSAY_FAKE_BLOCK; lets the one that waits go on. */
void assay_fake_anchor_await_blocked(struct assay_fake_anchor *f);
void assay_fake_anchor_release(struct assay_fake_anchor *f);
void assay_fake_anchor_back(struct assay_fake_anchor *f); /* ends ASSAY_FAKE_GONE */

/* What happens to machines. Each drops the connection: the next command gives -EIO, until reopen().
 * Reset: power off and on; resetCount grows, restartCount is 0, PCRs begin again. Restart:
 * hibernation with a TPM that starts afresh; restartCount grows, PCRs begin again. Resume:
 * restartCount grows, the PCRs that are not reset by it stay. */
void assay_fake_anchor_reset(struct assay_fake_anchor *f);
void assay_fake_anchor_restart(struct assay_fake_anchor *f);
void assay_fake_anchor_resume(struct assay_fake_anchor *f);

/* Somebody else's extend, behind the anchor's back. */
void assay_fake_anchor_foreign(struct assay_fake_anchor *f, uint32_t pcr,
			       const struct assay_pcr_value *digests);

/* What was executed, by anybody. */
uint64_t assay_fake_anchor_extends(struct assay_fake_anchor *f, uint32_t pcr);
void assay_fake_anchor_pcr(struct assay_fake_anchor *f, uint32_t pcr, struct assay_pcr_value *ret);
