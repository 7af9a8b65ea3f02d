/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What main and the process that looks at openers say to each other (docs/formats/ipc.md). Bytes to
 * structs and back, pure. */
#pragma once

#include "engine/core/policy.h"
#include "formats/audit.h"

enum peek_message {
	PEEK_READY = 1, /* peek: once, when it is in its sandbox */
	PEEK_OPENER,	/* main: who is the task of the message's id, and what does it ask for? */
	PEEK_AUDIT,	/* main: what does an audit record say of it? */
	PEEK_TOLD,	/* peek: the answer, with the same id */
};

struct peek_opener {
	uint32_t access; /* ASSAY_MAY_ bits; 0: not known */
	bool seen;
	struct assay_subject subject; /* if it is seen */
};

void peek_opener_encode(const struct peek_opener *o, struct assay_wr *w);
/* Errors: -EBADMSG. */
int peek_opener_parse(struct assay_bytes body, struct peek_opener *ret);

/* Of @r the fields that assay_audit_subject_slow() sets. */
void peek_audit_encode(const struct assay_audit *r, struct assay_wr *w);
/* Adds those that are there; texts are borrowed from @body. Errors: -EBADMSG, and nothing is added.
 */
int peek_audit_parse(struct assay_bytes body, struct assay_audit *ret);

/* Those fields, by their keys; but what is known without. */
#define PEEK_AUDIT_KEYS "pid,ppid,uid,suid,fsuid,gid,sgid,fsgid,tty,exe,subj,mntns,pidns"
