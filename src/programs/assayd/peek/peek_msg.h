/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What main and the process that looks at openers say to each other (docs/formats/ipc.md). Bytes to
 * structs and back, pure. */
#pragma once

#include "formats/audit.h"

enum peek_message {
	PEEK_READY = 1, /* peek: once, when it is in its sandbox */
	PEEK_ACCESS,	/* main: what does the task of the message's id ask for? */
	PEEK_SUBJECT,	/* main: who is it? */
	PEEK_TOLD,	/* peek: the answer, with the same id */
};

void peek_access_encode(uint32_t access, struct assay_wr *w);
/* Errors: -EBADMSG. */
int peek_access_parse(struct assay_bytes body, uint32_t *ret);

/* Of @r the fields that assay_audit_subject_slow() sets. */
void peek_subject_encode(const struct assay_audit *r, struct assay_wr *w);
/* Adds those that are there; texts are borrowed from @body. Errors: -EBADMSG, and nothing is added.
 */
int peek_subject_parse(struct assay_bytes body, struct assay_audit *ret);

/* Those fields, by their keys. */
#define PEEK_SUBJECT_KEYS "tty,exe,subj,mntns,pidns"
