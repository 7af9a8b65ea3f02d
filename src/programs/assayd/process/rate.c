/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/process/rate.h"

uint64_t rate_next_ns(const struct rate *r)
{
	uint64_t credit = r->burst * r->each_ns;

	return r->paid_ns + r->each_ns > credit ? r->paid_ns + r->each_ns - credit : 0;
}

bool rate_take(struct rate *r, uint64_t now_ns)
{
	if (now_ns < rate_next_ns(r))
		return false;
	r->paid_ns = (r->paid_ns > now_ns ? r->paid_ns : now_ns) + r->each_ns;
	return true;
}
