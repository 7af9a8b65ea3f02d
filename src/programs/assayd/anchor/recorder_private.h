/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared by the recorder's files: recorder.c has the calls of other threads, recorder_commit.c the
 * anchor thread, recorder_recover.c finds the place after a start or a fault, recorder_segment.c
 * opens and begins segments, recorder_adopt.c takes over the kernel's records, recorder_later.c
 * those that come when the segment has begun, recorder_state.c writes the records about ourselves.
 */
#pragma once

#include <pthread.h>

#include "backends/list_file/list_file.h"
#include "base/file.h"
#include "engine/recover.h"
#include "formats/batch.h"
#include "programs/assayd/anchor/recorder.h"

#define MODE_WORD_MAX 16

/* What the list says of the runs before this one; found when it is read at the start. */
struct recorder_past {
	bool any;	   /* assayd wrote to this list before */
	bool clean;	   /* its last record about itself is "stop" */
	bool handed_over;  /* it is "handover": another one has gone on */
	uint64_t clock_ms; /* TPM clock in the last record that says one */
	char mode_word[MODE_WORD_MAX];
	uint64_t kernel_total; /* of the kernel's records that are in the segment */
	uint64_t kernel_left;  /* records that a "kernel" record announced, still to come */
	uint64_t plain;	       /* bytes at the list's end without a word about ourselves */
	uint8_t boot[16];      /* of the last start; zero: none */
	bool other_boot;       /* that is not this one: the kernel may count from one again */
};

/* A call that the anchor thread runs between two extends. */
struct recorder_job {
	int (*run)(struct recorder *r, void *arg, struct assay_err *err);
	void *arg;
	struct assay_err *err;
	int rc;
	bool done;
};

/* What a closed segment did not get into the TPM: its records from the first such one on. */
struct recorder_carried {
	uint8_t *bytes;
	size_t len;
	uint64_t closed; /* records of that segment, and of those that were dropped since */
	/* The segment that takes them could not be written whole, and was dropped: it is begun
	 * again, for the same reason. */
	bool unfinished;
	enum assay_segment_start start;
	char why[160];
};

struct recorder {
	struct recorder_config config;
	uint8_t boot_id[16];

	/* ---- under the lock */
	pthread_mutex_t lock;
	pthread_cond_t work;	 /* the anchor thread waits: records, a job, the end */
	pthread_cond_t gathered; /* the anchor thread waits: nothing more is on its way */
	pthread_cond_t progress; /* the others wait: upto, a job that is done */
	struct assay_list_file *list;
	struct assay_core *core;
	void *arena;
	const struct assay_policy *policy;
	char policy_name[256];
	struct assay_digest policy_digest;
	uint64_t index_base; /* records of the segments that this run has closed */
	uint64_t upto;	     /* anchored, counted from the start of this run's first segment */
	/* Of this segment: what it began with, and behind that records of the closed one. */
	uint64_t carry_from, carry_until;
	uint64_t announced;	 /* records of the segment that are said to be the kernel's */
	uint64_t announced_upto; /* of these, below @upto */
	uint64_t owed;		 /* announced and not written yet: nothing else may come next */
	uint64_t stop_upto;	 /* while stopping: what the end waits for */
	uint32_t last_rounds;	 /* that were begun with that in the TPM */
	struct recorder_counts counts;
	struct recorder_job *job;
	bool ending, stopping, ended, released, list_full_noted;
	/* The segment has no name yet: a kill would lose it. It began with so many bytes; what
	 * stands behind is of others. */
	bool begun;
	size_t begun_len;
	char mode_word[MODE_WORD_MAX]; /* in force in the segment */

	/* ---- the anchor thread's alone */
	pthread_t thread;
	bool has_thread;
	struct assay_replay *replay; /* has taken the records before the cursor */
	uint64_t cursor;	     /* bytes */
	uint64_t taken;		     /* bytes; the cursor may be one record behind */
	struct assay_replay *tip;    /* of the list to its end, for whoever looks there; or NULL */
	uint64_t tip_end;	     /* bytes that it has taken */
	uint64_t seen[ASSAY_PCRS];   /* steps before the cursor */
	uint64_t have[ASSAY_PCRS];   /* steps that the PCR has already: not to be extended */
	/* (Neither counts what is announced as the kernel's.) */
	uint64_t synced;     /* bytes */
	uint64_t places;     /* how often the place was found anew: the cursor may differ */
	uint64_t check_from; /* bytes; a cursor below is behind what the PCRs hold */
	bool placed;	/* the place was found since our last extend: no other step of ours can be
			 * among what the kernel has extended since */
	bool displaced; /* something failed half-way: the place must be found before all else */
	uint64_t last_check_ns, suspended_ns, last_extend_ns;
	/* Events with records: since the last batch, of that, and how many are to come before the
	 * next: who waited already when that was anchored, and who was released. */
	uint32_t gathered_n, covered_n, expected_n;
	uint64_t kernel_total;	     /* of the kernel's records that are in the segment */
	uint64_t kernel_doubt;	     /* of these, the last may be ours: recorder_adopt_unsaid() */
	uint64_t looked;	     /* bytes of the list that the replay of a place took in */
	uint64_t kernel_unexplained; /* records that did not lead to the PCRs: the base has them */
	uint32_t kernel_pcrs;	     /* that the kernel was seen to extend */
	uint32_t padded; /* bit per bank: the kernel extended it with padded SHA-1 digests */
	struct recorder_past past;
	struct recorder_carried carried;
};

static inline bool recorder_has_anchor(const struct recorder *r)
{
	return r->config.anchor.ops && r->config.anchor.ops->kind != ASSAY_ANCHOR_NONE;
}

void recorder_log(struct recorder *r, int priority, const char *fmt, ...) ASSAY_PRINTF(3, 4);

/* ---- recorder_commit.c */
void *recorder_anchor_thread(void *arg);
uint64_t recorder_suspended_ns(void); /* time that the machine slept since it booted */
/* Recomputes upto from the replay; the caller holds no lock. */
void recorder_publish(struct recorder *r);

/* ---- recorder_recover.c */
/* Fence, read, decide, and make it so: afterwards the cursor and have[] are right for the current
 * segment, which may be a new one. Any error of the anchor: not done, try again later. */
int recorder_place(struct recorder *r, bool reopen, const char *why, struct assay_err *err);
/* Looks at the PCRs and does the above if they are not what the replay says, or a segment could not
 * be begun. @all: and as recorder_look() does. */
int recorder_check(struct recorder *r, bool all, struct assay_err *err);
/* What a read of the TPM gave. */
struct recorder_seen {
	struct assay_banks banks;
	struct assay_pcr_value pcr[ASSAY_PCRS];
	struct assay_tpm_clock clock;
	uint32_t pcrs; /* that were read */
};
int recorder_read(struct recorder *r, struct recorder_seen *ret, struct assay_err *err);
/* Only some of them, at one moment. */
int recorder_read_pcrs_of(struct recorder *r, uint32_t pcrs, struct recorder_seen *ret,
			  struct assay_err *err);
/* The PCRs that this segment has extended. */
uint32_t recorder_used(const struct recorder *r);

/* The walk begins anew: it passes over what have[] says, and extends the rest. */
int recorder_rewind(struct recorder *r, struct assay_err *err);

/* ---- recorder_segment.c */
/* A core with the list's records in it; @plan tells which are pending. */
int recorder_load_core(struct recorder *r, const struct assay_banks *banks,
		       const struct assay_recover_plan *plan, struct assay_err *err);
void recorder_drop_core(struct recorder *r);
/* Begins a segment with its first records. In a run, what was not anchored goes with it. The
 * caller is the anchor thread, or there is none yet. */
int recorder_begin_segment(struct recorder *r, enum assay_segment_start start,
			   struct recorder_seen *seen, const char *why, struct assay_err *err);
/* Puts the mode of the configuration in force. Nothing may be pending. */
int recorder_set_mode(struct recorder *r, struct assay_err *err);

/* ---- recorder_adopt.c */
/* The kernel's records: those that are not in the segment yet. */
struct kernel_list {
	struct assay_file file;
	struct assay_bytes records;
	uint64_t n;
	uint32_t pcrs;	 /* that they extend */
	uint32_t padded; /* bit per bank: with padded SHA-1 digests */
};
void recorder_kernel_free(struct kernel_list *k); /* NULL allowed */
static inline void assay_auto_kernel_list(struct kernel_list **k)
{
	recorder_kernel_free(*k);
}
/* Reads those that explain @seen from PCRs at zero; @seen is read again if the kernel was at work
 * meanwhile. *ret NULL: there are none, or they do not explain it. */
int recorder_kernel_read(struct recorder *r, struct recorder_seen *seen, struct kernel_list **ret,
			 struct assay_err *err);
/* The PCRs that it extends, by its list; 0 if there is none to be read. */
uint32_t recorder_kernel_pcrs(struct recorder *r);
/* Puts them at the start of a new segment. With the lock. */
int recorder_adopt_first(struct recorder *r, const struct kernel_list *kernel,
			 struct assay_err *err);
/* The records after the first @skip; which PCRs they extend. */
int recorder_kernel_load(struct recorder *r, uint64_t skip, struct kernel_list *k,
			 struct assay_err *err);
/* Writes the next @n of them. @announced: they are no steps of ours, which are counted. */
int recorder_kernel_append(struct recorder *r, struct assay_rd *in, uint64_t n, bool announced,
			   struct assay_err *err);
/* In mode "each" every record is a step, whoever extended it. */
bool recorder_is_each(const struct recorder *r);
/* A crash may have come between an announcement and its records: appends @left of them. */
int recorder_adopt_rest(struct recorder *r, uint64_t left, struct assay_err *err);
/* A crash may have come between records that were taken over without an announcement and the word
 * that they were: in mode "each" the last records of the list, if they are the kernel's next ones.
 * They count as the kernel's, with the doubt that is left. At a start, with the core loaded. */
int recorder_adopt_unsaid(struct recorder *r, struct assay_err *err);
/* The word that was missing. With the lock. */
int recorder_adopt_say(struct recorder *r, struct assay_err *err);
/* Whether the kernel has records that are not in the segment. */
bool recorder_kernel_moved(const struct recorder *r);

/* ---- recorder_later.c; in the anchor thread, without the lock */
/* What the PCRs are compared with: the list up to @end. */
struct recorder_where {
	struct assay_replay *replay;
	uint64_t end; /* bytes */
	/* Per PCR: of our steps, how many wait at the end. NULL: that is not known; no more than
	 * @most are missing. */
	const uint64_t *lack;
	uint32_t most;
	uint32_t used; /* the PCRs that the segment has extended */
	bool all;      /* announces also what could wait for the next step of ours */
};
/* Takes over what the kernel has extended after our steps, or between them: one of ours, the last
 * that was extended, may be among the kernel's. *ret_done false: @seen is not explained by that.
 * @seen is read again if there are other PCRs to look at. */
int recorder_adopt_later(struct recorder *r, struct recorder_seen *seen,
			 const struct recorder_where *w, bool *ret_done, struct assay_err *err);
/* The same where it is known which of our steps wait, as between any two of our extends. */
int recorder_look(struct recorder *r, struct recorder_seen *seen, bool all, bool *ret_done,
		  struct assay_err *err);
void recorder_drop_tip(struct recorder *r);
/* Before a step is extended that stands before what the PCRs were last compared with: finds the
 * place anew if the kernel has moved, once for each step: however fast it is, we go on.
 * *ret_looked: the walk may be elsewhere. */
int recorder_look_again(struct recorder *r, bool *ret_looked, struct assay_err *err);

/* ---- recorder_state.c; with the lock */
int recorder_state_locked(struct recorder *r, const char *what,
			  void (*fill)(void *ctx, struct assay_wr *w), void *ctx, bool gap,
			  uint64_t *ret_index, struct assay_err *err);
void recorder_state_clock(struct assay_wr *w, const struct assay_tpm_clock *clock);
int recorder_state_base(struct recorder *r, const struct recorder_seen *seen, uint32_t pcr,
			struct assay_err *err);
/* "start", with how the last run ended; clock NULL: no TPM. */
int recorder_state_start(struct recorder *r, const struct assay_tpm_clock *clock,
			 const struct assay_recover_plan *plan, struct assay_err *err);
/* Which policy is in force. */
int recorder_state_policy(struct recorder *r, struct assay_err *err);
/* Learns from a record of the list what it says of earlier runs; *ret_kernel: it is announced as
 * the kernel's. */
void recorder_past_add(struct recorder_past *past, const struct assay_record *record,
		       bool *ret_kernel);
