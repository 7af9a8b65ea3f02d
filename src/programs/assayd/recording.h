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

struct recording_ops {
	/* Of recording_submit(@id). @error 0: the opener may go on once record @wait_for is
	 * anchored (ASSAY_NO_RECORD: at once), else -errno as recorder_event(): not recorded. */
	void (*done)(void *ctx, uint64_t id, int error, uint64_t wait_for);
	/* All records below @upto are anchored, or, with @released, let go without it. */
	void (*anchored)(void *ctx, uint64_t upto, bool released);
	/* A new segment began: verdicts of before no longer hold. */
	void (*segment)(void *ctx, enum assay_segment_start why);
};

/* @socket: of the anchor process, non-blocking; borrowed. */
int recording_new(int socket, const struct recording_ops *ops, void *ctx, struct recording **ret);
void recording_free(struct recording *r);

/* Facts of a file that some rule measures, all of them that the policy asks for; copied. Waits in
 * memory while the socket is full. @id: not in use. Errors: -ENOMEM, -EPIPE the anchor is gone. */
int recording_submit(struct recording *r, uint64_t id, const struct assay_facts *facts);

/* No file is on its way to being submitted: the anchor's gather pause need not go on. */
void recording_gathered(struct recording *r);

/* What has come; call when the socket is readable or writable. -EPIPE: the anchor is gone;
 * -EBADMSG: it said what it may not. */
int recording_receive(struct recording *r);
bool recording_wants_to_write(const struct recording *r);
