/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the list says of exempt processes. While an upgrade is undone there may be no anchor: then
 * it waits for the next one. */
#pragma once

#include <limits.h>

#include "formats/hash.h"
#include "programs/assayd/main/daemon.h"

enum needed_event {
	NEEDED_EXEMPT, /* with all that is below */
	NEEDED_ENDED,  /* with the path of what it runs now */
	NEEDED_UNSEEN, /* with neither path nor digest */
};

struct needed_about {
	const char *name; /* borrowed for good */
	pid_t pid;
	char path[PATH_MAX];
	struct assay_digest digest;
};

struct needed_unsaid;

struct needed_records {
	struct daemon *daemon;
	struct needed_unsaid *first, **last;
	size_t n;
};

void needed_records_init(struct needed_records *r, struct daemon *d);
void needed_records_done(struct needed_records *r);

/* Errors: anchor_state()'s, -ENOMEM, -ENOBUFS. */
int needed_record(struct needed_records *r, enum needed_event event, const struct needed_about *a);
/* What had to wait, if there is an anchor. */
void needed_record_rest(struct needed_records *r);
