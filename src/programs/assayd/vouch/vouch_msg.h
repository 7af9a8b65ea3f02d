/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What main and the process that looks at exempt ones say to each other (docs/formats/ipc.md).
 * Bytes to structs and back, pure. */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "base/rd.h"
#include "base/wr.h"
#include "formats/hash.h"

enum vouch_message {
	VOUCH_PROGRAM = 1, /* main: what does the process of the message's id run? */
	VOUCH_RECORD,	   /* main: the same, with the digest; body: its algorithm */
	VOUCH_LISTENER,	   /* main: who listens where the body, a TCTI, leads to? id: 1 */
	VOUCH_TOLD,	   /* vouch: the answer, with the same id */
};

/* What a process runs. The number of a file that is gone may be another's; when it was born
 * differs, where the filesystem knows it. */
struct vouch_program {
	uint32_t major, minor;
	uint64_t ino;
	uint64_t born_s;
	uint32_t born_ns;
};

struct vouch_told {
	int error; /* 0 or -errno: there is nothing else then */
	struct vouch_program program;
	char path[PATH_MAX];	    /* as the kernel says it; "": it does not */
	struct assay_digest digest; /* of VOUCH_RECORD */
	pid_t listener;		    /* of VOUCH_LISTENER; 0: there is none */
};

bool vouch_program_is(const struct vouch_program *a, const struct vouch_program *b);

/* The answer to @question, a vouch_message. */
void vouch_told_encode(enum vouch_message question, const struct vouch_told *t, struct assay_wr *w);
/* @alg: what VOUCH_RECORD asked for. Errors: -EBADMSG. */
int vouch_told_parse(struct assay_bytes body, enum vouch_message question, enum assay_hash alg,
		     struct vouch_told *ret);
