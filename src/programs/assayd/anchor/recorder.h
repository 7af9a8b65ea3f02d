/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the list and the TPM: the engine's core behind one mutex, the segment files, and the thread
 * that extends (group commit). At most one extend is outstanding, ever. Knows nothing of fanotify:
 * events come in as facts, and whoever waits is called back when its record is anchored.
 */
#pragma once

#include "base/err.h"
#include "engine/core/event.h"
#include "formats/segment.h"

struct recorder;

enum anchor_mode { ANCHOR_EACH, ANCHOR_GROUP, ANCHOR_ORDERED };
enum list_sync { LIST_SYNC_BATCH, LIST_SYNC_NEVER };
enum on_stall { ON_STALL_HOLD, ON_STALL_RELEASE };

/* Beside the kernel's list: how many records it has. */
#define RECORDER_COUNT_FILE "runtime_measurements_count"

struct recorder_config {
	int list_dirfd;		 /* borrowed */
	const char *list_dir;	 /* its path, for messages */
	const char *kernel_list; /* the kernel's binary list, to adopt and to watch; NULL: none */
	struct assay_anchor anchor;
	struct assay_crypto crypto;
	enum anchor_mode mode;
	enum list_sync sync;
	enum on_stall on_tpm_loss; /* hold callers, or release them and record a gap */
	uint32_t gather_us;	   /* pause before a group commit */
	struct assay_core_config core;
	/* Called by the anchor thread, without locks: all records below @upto are anchored, or,
	 * with
	 * @released, callers are let go without it (a gap record says so). Indexes count over all
	 * segments of this run. */
	void (*anchored)(void *ctx, uint64_t upto, bool released);
	void *ctx;
	/* A new segment began while we run: the PCRs went back, or list and PCRs disagreed. What
	 * was measured before must be measured again, so whoever keeps verdicts drops them. Called
	 * like anchored(); may be NULL. */
	void (*segment)(void *ctx, enum assay_segment_start why);
	uint32_t check_ms; /* between looks at the PCRs, for what others did; 0: 10,000 */
	uint32_t stop_ms;  /* that the end waits for what is not anchored yet; 0: 10,000 */
	/* Whether records are on their way that the gather pause would bring into the batch; NULL:
	 * not known, the pause is always as long as configured. */
	bool (*more_coming)(void *ctx);
	/* One line for the log; must not call the recorder. */
	void (*log)(void *ctx, int priority, const char *text);
};

/*
 * Opens the list, finds its place against the PCRs (or begins a segment), adopts what the kernel
 * measured, and starts the anchor thread. Errors: -EWOULDBLOCK another daemon has the list; as the
 * list's and the anchor's open.
 */
int recorder_start(const struct recorder_config *config, struct recorder **ret,
		   struct assay_err *err);

/* recorder_stop() will come: a TPM that does not answer is not waited for any more, and whoever
 * waits for it here returns. */
void recorder_ending(struct recorder *r);

/* Anchors what is pending, writes a "stop" record, anchors that, ends the thread, frees. What
 * announces records of the kernel's behind it may be left to the next start. NULL allowed. */
void recorder_stop(struct recorder *r, const char *why);

/* The policy from now on; borrowed for the recorder's life. Records a "policy" state record with
 * @digest of its text and @name. */
int recorder_set_policy(struct recorder *r, const struct assay_policy *policy, const char *name,
			const struct assay_digest *digest, struct assay_err *err);

/* assay_event() for each of @n under one lock; records are written on return. An event's decision
 * is there if its error is 0. In ordered mode wait_for is ASSAY_NO_RECORD, but for the moments in
 * which a new segment has no name yet. Others wait for the lock meanwhile: no more than
 * RECORDER_EVENTS keeps that short. Thread-safe. */
#define RECORDER_EVENTS 16u
void recorder_events(struct recorder *r, const struct assay_facts *const facts[], uint32_t n,
		     struct assay_decision ret[], int ret_error[]);

/* A state record: "event=WHAT;" and what @fill adds (may be NULL). @gap: out of the reserved space
 * if the list is full. Thread-safe. */
int recorder_state(struct recorder *r, const char *what,
		   void (*fill)(void *ctx, struct assay_wr *w), void *ctx, bool gap,
		   uint64_t *ret_index, struct assay_err *err);

/* more_coming() says no from now on: a gather pause need not go on. Thread-safe. */
void recorder_gathered(struct recorder *r);

/* Blocks until the records below the index @upto are anchored, at most @timeout_ms. 0, -ETIMEDOUT.
 */
int recorder_await(struct recorder *r, uint64_t upto, uint32_t timeout_ms);
/* The same, for everything written so far. */
int recorder_flush(struct recorder *r, uint32_t timeout_ms);

/* A quote, and the values that it is over: nothing was extended between. */
struct recorder_quote {
	struct assay_quote_reply reply;
	struct assay_banks banks;
	struct assay_tpm_clock clock;
	struct assay_pcr_value pcr[ASSAY_PCRS]; /* of the request's PCRs */
};

/* Run by the anchor thread between two extends; blocks the caller. -EAGAIN: somebody else extends
 * all the time. */
int recorder_quote(struct recorder *r, const struct assay_quote_request *request,
		   struct recorder_quote *ret, struct assay_err *err);
int recorder_read_pcrs(struct recorder *r, uint32_t pcr_mask,
		       struct assay_pcr_value values[ASSAY_PCRS], struct assay_banks *ret_banks,
		       struct assay_tpm_clock *ret_clock, struct assay_err *err);

struct recorder_counts {
	uint64_t records, anchored, violations, extends, extend_ns, batches, gaps, segment;
	uint64_t last_extend_ns;
	uint64_t list_bytes;
	uint64_t lost_events; /* that found the list full */
	bool tpm_lost, list_full;
};
void recorder_counts(struct recorder *r, struct recorder_counts *ret);
