/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether what a list says of assayd's runs fits together where one handed over to the next
 * (docs/formats/state.md, decision 0055). Knows nothing of how the list is proved: it is told of
 * each state record in turn.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"

enum assay_history_at {
	ASSAY_HISTORY_UNKNOWN, /* the list begins, or records were lost: anything may follow */
	ASSAY_HISTORY_RUNS,
	ASSAY_HISTORY_HANDED, /* a handover, and no start since */
	ASSAY_HISTORY_BEGUN,  /* a start since, and nothing that ends the hand-over */
	ASSAY_HISTORY_ENDED,
};

enum assay_history_fault {
	ASSAY_HISTORY_RIGHT,
	ASSAY_HISTORY_START,	/* it says that it follows a hand-over, and none is before it */
	ASSAY_HISTORY_TAKEOVER, /* nobody has handed over to it */
	ASSAY_HISTORY_HANDOVER, /* by one that had ended */
};

/* Zeroed: at the beginning of a list, or in its middle. */
struct assay_history {
	enum assay_history_at at;
	uint64_t handovers;
	uint64_t unfinished; /* nobody has taken over: what was opened until the next start is not
			      * in the list */
	enum assay_history_fault fault; /* the first */
	uint64_t fault_index;
};

/* @state: the buffer of entry @index, a state record. */
void assay_history_take(struct assay_history *h, uint64_t index, struct assay_bytes state);
const char *assay_history_fault_text(enum assay_history_fault fault);
