/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a thread still turns: its turns are counted, and each time it is asked for one more.
 * Knows nothing of what a turn is, so that tests drive it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PULSE_STUCK_NS 5000000000ull  /* without one turn: something is wrong */
#define PULSE_END_NS   20000000000ull /* and so long: nobody waits any more */
#define PULSE_STEP_NS  2000000000ull  /* what two looks can find at most: it may be we who slept */

/* Of a thread: how often it has turned, and whether it is to. */
struct turns {
	_Atomic uint64_t n;
	atomic_bool turning;
};

/* Zeroed: it was never asked. */
struct pulse {
	_Atomic uint64_t turns, asked_ns; /* when it was asked last, and how many there had been */
	uint64_t looked_ns, stood_ns;	  /* pulse_has_ended()'s */
};

/* Now and then, with the turns of now. True: it has turned since it was asked last, and may be
 * asked again: pulse_ask(), and then it is to turn. One thread. */
bool pulse_has_turned(const struct pulse *p, uint64_t turns, uint64_t now_ns);
void pulse_ask(struct pulse *p, uint64_t turns, uint64_t now_ns);
/* It stands still for good, as far as was seen by looks like this. @turning: it is to turn. The
 * same thread. */
bool pulse_has_ended(struct pulse *p, bool turning, uint64_t turns, uint64_t now_ns);
/* It was asked long ago and has not turned. Any thread. */
bool pulse_is_stuck(const struct pulse *p, uint64_t turns, uint64_t now_ns);
