/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/pulse.h"

#include "base/clock.h"

#define PAUSE_NS 500000000ull /* no more often */

bool pulse_has_turned(const struct pulse *p, uint64_t turns, uint64_t now_ns)
{
	uint64_t asked = atomic_load(&p->asked_ns);

	return !asked || (turns != atomic_load(&p->turns) && now_ns - asked >= PAUSE_NS);
}

void pulse_ask(struct pulse *p, uint64_t turns, uint64_t now_ns)
{
	/* In this order: who looks meanwhile finds it asked too late, not too early. */
	atomic_store(&p->asked_ns, now_ns);
	atomic_store(&p->turns, turns);
}

bool pulse_is_stuck(const struct pulse *p, uint64_t turns, uint64_t now_ns)
{
	uint64_t asked = atomic_load(&p->asked_ns);

	return asked && turns == atomic_load(&p->turns) && now_ns > asked &&
	       now_ns - asked > PULSE_STUCK_NS;
}

bool pulse_has_ended(struct pulse *p, bool turning, uint64_t turns, uint64_t now_ns)
{
	uint64_t step = assay_clock_step(&p->looked_ns, now_ns, PULSE_STEP_NS);

	if (!turning || atomic_load(&p->asked_ns) == 0 || turns != atomic_load(&p->turns)) {
		p->stood_ns = 0;
		return false;
	}
	p->stood_ns += step;
	return p->stood_ns > PULSE_END_NS;
}
