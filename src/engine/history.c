/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/history.h"

#include <stddef.h>

#include "base/macros.h"
#include "formats/batch.h"

static void find_fault(struct assay_history *h, enum assay_history_fault fault, uint64_t index)
{
	if (h->fault)
		return;
	h->fault = fault;
	h->fault_index = index;
}

/* A run ends, or hands over, and the hand-over before has neither been taken nor given up. */
static void leave(struct assay_history *h, enum assay_history_at next)
{
	h->unfinished += h->at == ASSAY_HISTORY_BEGUN;
	h->at = next;
}

static void take_start(struct assay_history *h, uint64_t index, struct assay_bytes state)
{
	bool follows = assay_bytes_is(assay_state_get(state, "last"), "handed-over");

	if (follows && h->at != ASSAY_HISTORY_HANDED && h->at != ASSAY_HISTORY_UNKNOWN)
		find_fault(h, ASSAY_HISTORY_START, index);
	/* The new one's, or the one before goes on: what follows tells. */
	if (follows || h->at == ASSAY_HISTORY_HANDED || h->at == ASSAY_HISTORY_BEGUN)
		h->at = ASSAY_HISTORY_BEGUN;
	else
		h->at = ASSAY_HISTORY_RUNS;
}

static void take_takeover(struct assay_history *h, uint64_t index, struct assay_bytes state)
{
	(void)state;
	if (h->at == ASSAY_HISTORY_BEGUN)
		h->handovers++;
	else if (h->at != ASSAY_HISTORY_UNKNOWN)
		find_fault(h, ASSAY_HISTORY_TAKEOVER, index);
	h->at = ASSAY_HISTORY_RUNS;
}

static void take_handover(struct assay_history *h, uint64_t index, struct assay_bytes state)
{
	(void)state;
	if (h->at == ASSAY_HISTORY_ENDED || h->at == ASSAY_HISTORY_HANDED)
		find_fault(h, ASSAY_HISTORY_HANDOVER, index);
	leave(h, ASSAY_HISTORY_HANDED);
}

static void take_failed(struct assay_history *h, uint64_t index, struct assay_bytes state)
{
	(void)index;
	(void)state;
	h->at = ASSAY_HISTORY_RUNS;
}

static void take_stop(struct assay_history *h, uint64_t index, struct assay_bytes state)
{
	(void)index;
	(void)state;
	leave(h, ASSAY_HISTORY_ENDED);
}

static void take_loss(struct assay_history *h, uint64_t index, struct assay_bytes state)
{
	(void)index;
	(void)state;
	h->at = ASSAY_HISTORY_UNKNOWN;
}

static const struct {
	const char *event;
	void (*take)(struct assay_history *h, uint64_t index, struct assay_bytes state);
} events[] = {
	{ "start", take_start },       { "takeover", take_takeover },
	{ "handover", take_handover }, { "handover_failed", take_failed },
	{ "stop", take_stop },	       { "list-full", take_loss },
	{ "list-resumed", take_loss },
};

void assay_history_take(struct assay_history *h, uint64_t index, struct assay_bytes state)
{
	struct assay_bytes event = assay_state_get(state, "event");

	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (assay_bytes_is(event, events[i].event))
			events[i].take(h, index, state);
}

const char *assay_history_fault_text(enum assay_history_fault fault)
{
	static const char *const texts[] = {
		[ASSAY_HISTORY_RIGHT] = "",
		[ASSAY_HISTORY_START] =
			"an assayd says that it follows one that handed over, and none did",
		[ASSAY_HISTORY_TAKEOVER] = "an assayd takes over, and none has handed over to it",
		[ASSAY_HISTORY_HANDOVER] = "an assayd hands over that had ended",
	};

	return texts[fault];
}
