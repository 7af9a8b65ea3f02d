/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the list says of exempt processes. It is put (records.h), and nobody waits for it; while an
 * upgrade is undone there may be no anchor, and it waits for the next one. */
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

/* An exemption that cannot be written after all is ended: needed_unrecorded(). Errors:
 * records_put()'s. */
int needed_record(struct needed *n, struct daemon *d, enum needed_event event,
		  const struct needed_about *a);
