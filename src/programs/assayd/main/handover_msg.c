/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/handover_msg.h"

#include <errno.h>

#include "base/rd.h"

enum { FLAG_EXEC = 1, FLAG_ANSWERED = 2 };

void handover_group_encode(const struct handover_group *g, struct assay_wr *w)
{
	assay_wr_u32(w, g->tells_errors);
	assay_wr_u32(w, g->events);
	assay_wr_u32(w, g->lost);
	assay_wr_u64(w, g->held_ns);
	assay_wr_u64(w, g->past);
}

int handover_group_decode(struct assay_bytes body, struct handover_group *ret)
{
	struct assay_rd in = assay_rd(body);
	struct handover_group g = { 0 };
	uint32_t flag;

	if (!assay_rd_u32(&in, &flag) || flag > 1 || !assay_rd_u32(&in, &g.events) ||
	    g.events > HANDOVER_EVENTS_MAX || !assay_rd_u32(&in, &g.lost) ||
	    !assay_rd_u64(&in, &g.held_ns) || !assay_rd_u64(&in, &g.past) || !assay_rd_end(&in))
		return -EBADMSG;
	g.tells_errors = flag;
	*ret = g;
	return 0;
}

void handover_event_encode(const struct handover_event *e, struct assay_wr *w)
{
	assay_wr_u32(w, e->number);
	assay_wr_u32(w, (uint32_t)e->tid);
	assay_wr_u32(w, (e->exec ? FLAG_EXEC : 0u) | (e->answered ? FLAG_ANSWERED : 0u));
	assay_wr_u64(w, e->arrived_ns);
}

static bool decode_event(struct assay_rd *in, uint32_t floor, struct handover_event *ret)
{
	uint32_t tid, flags;

	if (!assay_rd_u32(in, &ret->number) || ret->number < HANDOVER_NUMBER_MIN ||
	    ret->number >= floor || !assay_rd_u32(in, &tid) || tid > INT32_MAX ||
	    !assay_rd_u32(in, &flags) || flags > (FLAG_EXEC | FLAG_ANSWERED) ||
	    !assay_rd_u64(in, &ret->arrived_ns))
		return false;
	ret->tid = (int32_t)tid;
	ret->exec = flags & FLAG_EXEC;
	ret->answered = flags & FLAG_ANSWERED;
	return true;
}

int handover_events_decode(struct assay_bytes body, uint32_t n, uint32_t floor,
			   struct handover_event ret[HANDOVER_ONCE])
{
	struct assay_rd in = assay_rd(body);

	if (n == 0 || n > HANDOVER_ONCE)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++)
		if (!decode_event(&in, floor, &ret[i]))
			return -EBADMSG;
	return assay_rd_end(&in) ? 0 : -EBADMSG;
}

int handover_floor_decode(struct assay_bytes body, uint32_t *ret)
{
	struct assay_rd in = assay_rd(body);
	uint32_t floor;

	if (!assay_rd_u32(&in, &floor) || !assay_rd_end(&in) || floor <= HANDOVER_NUMBER_MIN ||
	    floor > HANDOVER_FLOOR)
		return -EBADMSG;
	*ret = floor;
	return 0;
}
