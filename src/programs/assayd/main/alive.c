/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * That we live is that the loop and the reader do: openers wait for them and not for the main
 * thread. If one stands still for good, they are let go by our end; by SIGKILL they were not, if it
 * waits in D.
 */
#include "programs/assayd/main/alive.h"

#include "base/clock.h"
#include "programs/assayd/main/daemon.h"
#include "programs/assayd/main/let_go.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/notify.h"

void alive_tell_reader(struct daemon *d)
{
	uint64_t now = assay_clock_ns(), turns = atomic_load(&d->reader_turns.n);
	bool turning = atomic_load(&d->reader_turns.turning);

	if (pulse_has_ended(&d->reader_pulse, turning, turns, now))
		let_all_go(assay_fanotify_fd(d->group), LET_GO_READER);
	if (!pulse_has_turned(&d->reader_pulse, turns, now))
		return;
	pulse_ask(&d->reader_pulse, turns, now);
	notify_manager("WATCHDOG=1");
}

void alive_tell(struct daemon *d)
{
	uint64_t now = assay_clock_ns(), loop, reader = atomic_load(&d->reader_turns.n);
	bool loop_turns = loop_is_turning(d->loop, &loop);
	bool reader_turns = atomic_load(&d->reader_turns.turning);
	int group = assay_fanotify_fd(d->group);

	if (pulse_has_ended(&d->reader_pulse, reader_turns, reader, now))
		let_all_go(group, LET_GO_READER);
	if (pulse_has_ended(&d->loop_pulse, loop_turns, loop, now))
		let_all_go(group, LET_GO_LOOP);
	if (!pulse_has_turned(&d->loop_pulse, loop, now) ||
	    !pulse_has_turned(&d->reader_pulse, reader, now))
		return;
	pulse_ask(&d->loop_pulse, loop, now);
	pulse_ask(&d->reader_pulse, reader, now);
	notify_manager("WATCHDOG=1");
	loop_wake(d->loop); /* the reader turns by itself */
}
