/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main's side of the anchor process: facts go out, indexes of records come back, and word of what
 * is anchored. One thread uses it (the loop), and all callbacks come in that thread, from
 * recording_receive(). Never blocks. Messages: docs/formats/ipc.md.
 */
#pragma once

#include "base/err.h"
#include "engine/core/event.h"
#include "formats/segment.h"

struct recording;

/* What became of one submission. */
struct recording_result {
	int error; /* as assay_event(): not recorded */
	/* Not 0: the policy there wants these facts too, as it is newer than the one that was
	 * asked here. Nothing was recorded: submit again with them. */
	uint32_t need;
	/* The opener may go on once this record is anchored; ASSAY_NO_RECORD: at once. */
	uint64_t wait_for;
};

struct recording_ops {
	/* Of recording_submit(@id), which is free again. */
	void (*done)(void *ctx, uint64_t id, const struct recording_result *result);
	/* All records below @upto are anchored, or, with @released, let go without it. */
	void (*anchored)(void *ctx, uint64_t upto, bool released);
	/* A new segment began: verdicts of before no longer hold. */
	void (*segment)(void *ctx, enum assay_segment_start why);
};

/* @socket: of the anchor process, non-blocking; borrowed. Errors: -ENOMEM. */
int recording_new(int socket, const struct recording_ops *ops, void *ctx, struct recording **ret);
void recording_free(struct recording *r); /* NULL allowed */

/* Facts of a file that some rule measures, all of them that the policy asks for; copied. They wait
 * in memory until the next recording_receive(), so that those of one turn go out together. @id: not
 * in use. Errors: -ENOMEM; -E2BIG more than fits into one message. */
int recording_submit(struct recording *r, uint64_t id, const struct assay_facts *facts);

/* No file is on its way to being submitted: the anchor's gather pause need not go on. */
void recording_gathered(struct recording *r);

/* Sends what waits, takes what has come; call when the socket is readable or writable, and before
 * sleeping when there is something to write. -EPIPE: the anchor is gone; -EBADMSG: it said what it
 * may not. Both are final. */
int recording_receive(struct recording *r);
bool recording_wants_to_write(const struct recording *r);

/* Submissions that are not done. */
uint32_t recording_outstanding(const struct recording *r);
