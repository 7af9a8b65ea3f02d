/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts into the list (records.h) what the ledger has: openers that went on before their file was
 * measured. For the main thread. */
#pragma once

#include "programs/assayd/main/daemon.h"
#include "programs/assayd/main/tally.h"

struct gaps {
	struct tally tally; /* of what somebody without rights can bring about in a loop */
	uint64_t overflows_seen, unmeasured_seen;
};

/* What has come since the last call; @all: what is only counted so far, too. */
void gaps_record(struct gaps *g, struct daemon *d, bool all);
