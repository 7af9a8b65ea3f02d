/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One file, opened or mapped, before the policy: which facts of its content are needed for all
 * hooks of the event at once, and, when they are there, what is to be recorded and which events the
 * kernel may answer from now on. Never blocks: what reads the file is a worker's. Used by the loop
 * alone.
 */
#pragma once

#include <sys/stat.h>

#include "programs/assayd/main/coverage.h"
#include "programs/assayd/main/daemon.h"
#include "programs/assayd/peek/peek_msg.h"

/* Facts of a file's content, as a worker finds them. */
struct content_facts {
	uint32_t have; /* WORKER_ mask of what was looked for */
	bool elf, unreadable;
	struct assay_digest digest; /* alg ASSAY_HASH_COUNT: none */
	struct assay_digest verity; /* the same: it has none */
};

struct judge_case {
	int fd;
	int32_t tid; /* who opened, or has it mapped */
	bool exec;   /* opened for exec; else opened, or (late) mapped */
	bool late;   /* it runs already: nobody waits, no lease is taken */
	struct stat st;
	/* Of an opener who saw this content, so that no lease is needed for it; NULL: nothing. */
	const struct content_facts *known;
};

/* A record that is to be made, if it is not in the list. */
struct judge_ask {
	enum assay_hook hook;
	uint32_t mask;
	bool any_subject, unseen_subject, open_writers;
};

/* An audit record of what happens here, and not to somebody else or later. */
struct judge_audit {
	enum assay_hook hook;
	uint32_t rule; /* its line */
	bool verity;
};

#define JUDGE_ASKS_MAX 4u /* hooks of one event */

struct judge_plan {
	struct judge_ask ask[JUDGE_ASKS_MAX];
	uint32_t n;
	struct judge_audit audit[JUDGE_ASKS_MAX];
	uint32_t n_audits;
	uint32_t wanted;      /* WORKER_DIGEST, WORKER_VERITY: that the records take */
	uint32_t ignore_bits; /* events that the kernel may answer once the records are anchored */
};

/* One case while it is judged. */
struct hearing {
	struct daemon *daemon;
	struct judge_case c;
	const struct loaded_policy *policy;
	uint64_t epoch; /* of the group, before the policy was looked at */
	struct assay_fs fs;
	struct assay_match_facts object; /* no subject, no hook yet */
	struct peek_opener opener;	 /* if it has been asked for */
	uint32_t access;		 /* that it asks for */
	bool access_unknown;		 /* it was asked, and could not be told */
	bool leased, has_writer, eager;
	bool has_opener;
	bool reads_writer;		 /* reads while somebody else may be writing */
	bool broken;			 /* the lease was, while the content was read */
	struct judge_plan plain, mapped; /* if it is data; if it can be mapped for execution */
	uint32_t wanted;		 /* WORKER_ mask; 0: the plan needs no content */
};

/* Takes a lease if it can, asks the policy, and says in ret->wanted what a worker must find out.
 * The lease is the caller's to drop. Errors: -errno of a filesystem that says nothing. */
int judge_begin(struct daemon *d, const struct judge_case *c, struct hearing *ret);

/* With the content's facts, complete in what was wanted; the hearing's. */
const struct judge_plan *judge_plan(struct hearing *h, const struct content_facts *content);

/* Makes the audit records. False: some are beyond the rate, and will be asked for again: the kernel
 * must not answer by itself. */
bool judge_audit(struct hearing *h, const struct judge_plan *plan,
		 const struct content_facts *content, char path[static ASSAY_OBJECT_PATH_MAX]);

/* The facts of the @i-th record; borrows @h, @content and @path (room for the path). */
void judge_facts(struct hearing *h, const struct judge_plan *plan, uint32_t i,
		 const struct content_facts *content, char path[static ASSAY_OBJECT_PATH_MAX],
		 struct assay_facts *ret);
