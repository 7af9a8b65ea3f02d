/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon's modules share. Set up by daemon.c before any thread starts; what changes later
 * is atomic or says who locks it. */
#pragma once

#include <stdatomic.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/source_fanotify/object.h"
#include "backends/source_fanotify/source_fanotify.h"
#include "formats/conf.h"
#include "programs/assayd/fetch/fetch.h"
#include "programs/assayd/main/anchor_choose.h"
#include "programs/assayd/main/anchor_client.h"
#include "programs/assayd/main/cmdline.h"
#include "programs/assayd/main/deadline.h"
#include "programs/assayd/main/arrivals.h"
#include "programs/assayd/main/latency.h"
#include "programs/assayd/main/ledger.h"
#include "programs/assayd/main/policy_load.h"
#include "programs/assayd/main/pulse.h"
#include "programs/assayd/main/records.h"
#include "programs/assayd/process/spawner.h"

struct audit;
struct control;
struct handover;
struct late;
struct takeover;
struct loop;
struct mounts;
struct needed;
struct peek;
struct reload;
struct scout_link;
struct view_link;

struct daemon_totals {
	_Atomic uint64_t digests, digest_bytes, marks, broken_leases, no_leases, deadlines, late,
		too_large, errors;
	struct latency waits;		    /* of openers */
	_Atomic uint64_t early;		    /* as deadlines, before they are in the list */
	_Atomic uint64_t gaps_seen, gap_ns; /* status_note() */
	_Atomic uint32_t stuck_workers;	    /* killed, and not ended */
};

struct daemon {
	struct assay_conf conf;
	const char *conf_path; /* NULL: none was read */
	/* As conf was made: the file of now, and the options of the start over it. @by: who reads
	 * it. Errors: with the file and the place in the text. */
	int (*read_conf)(struct fetch *by, struct assay_conf *ret, struct assay_err *err);
	/* Puts in front of a message where the value of @key was given, as read_conf() found it
	 * last, and the key: for what cannot be told from the text alone. A message with a place
	 * in what the value names, as a policy's, stays as it is. */
	void (*blame)(const char *key, struct assay_err *err);
	struct assay_conf given; /* what read_conf() gave last and is in force */
	struct cmdline cmdline;
	struct deadline deadline;
	struct anchor_choice anchor_choice;
	struct assay_crypto crypto;
	enum assay_hash hash; /* of contents */
	struct assay_core_config core;
	struct programs *programs;
	struct spawner *spawner;
	struct fetch fetch; /* while openers wait; for the main thread */
	struct assay_fanotify *group;
	struct assay_fs_table *fs;
	struct anchor *anchor;
	struct records *records; /* what is said in the list while it runs */
	struct jobs *jobs;
	struct arrivals arrivals;
	struct ledger ledger;
	struct loop *loop;
	struct pulse loop_pulse, reader_pulse;
	struct turns reader_turns;
	struct peek *peek;
	struct mounts *mounts;
	struct late *late; /* NULL: before the start is over */
	struct audit *audit;
	struct control *control;
	struct reload *reload;
	struct needed *needed;
	struct scout_link *scout; /* NULL: mount= says all that is watched */
	struct view_link *view;	  /* NULL: there is none */
	struct handover *handover;
	struct takeover *takeover; /* NULL: nobody was here before */
	/* Replaced whole by SIGHUP; those of before stay, as borrowers may be left. */
	_Atomic(const struct loaded_policy *) policy;
	const struct loaded_policy *next_policy; /* the list is to take it; NULL: none */
	struct daemon_totals totals;
};

/* Verdicts of before no longer hold, as the policy or the segment is another: ignore marks are
 * dropped, those that are on their way are not set. */
void daemon_forget_verdicts(struct daemon *d);

/* records_put() of a gap that counts as one. */
void daemon_record_gap(struct daemon *d, const char *event,
		       void (*fill)(void *ctx, struct assay_wr *w), void *ctx);

/* Runs until SIGTERM or SIGINT. Returns 0, or -errno with @err why it could not start. */
int daemon_run(struct daemon *d, struct assay_err *err);
