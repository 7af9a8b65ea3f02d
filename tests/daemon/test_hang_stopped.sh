#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Processes that are stopped: an opener who waits, and each of assayd's own children, for less and for more than the
# deadline. The others are answered, what was not measured has a gap record, and all goes on when they do.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount tpm
delay_begin 0
TOLD=()

# child_pids ROLE: all of assayd's processes that have it; "spawner" is their parent.
child_pids() {
	local pid
	for pid in $(pgrep -P "$DAEMON") $(pgrep -P "$(pgrep -d , -P "$DAEMON")"); do
		tr '\0' '\n' <"/proc/$pid/cmdline" | grep -q -x "assayd: $1" && echo "$pid"
	done
}

# go_on: nothing of ours stays stopped.
go_on() {
	local status=$?
	[ ${#stopped[@]} = 0 ] || kill -CONT "${stopped[@]}" 2>/dev/null || true
	stopped=()
	return $status
}
stopped=()
trap 'go_on || _cleanup; _cleanup' EXIT

# round NAME: new files, opened by many; their names for asks.
round() {
	make_files "$MNT/$1" 60 >"$SCRATCH/$1"
	TOLD+=("$SCRATCH/$1-told")
}

opener_runs() {
	pgrep -f "^$SCRATCH/opener read 7\$" >"$SCRATCH/opener-pid"
}

start_hang workers=2 "deadline_ms=$FAR_DEADLINE_MS"

# ---- an opener -----------------------------------------------------------------------------------------------
round stopped-opener
round others
kill -STOP "$DELAY_PID"
in_background read 7 "$SCRATCH/stopped-opener-told" <"$SCRATCH/stopped-opener"
opener=$PID
wait_for 60 opener_runs
wait_for 60 some_held 7
mapfile -t stopped <"$SCRATCH/opener-pid"
kill -STOP "${stopped[@]}"
kill -CONT "$DELAY_PID"
asks read 8 "$SCRATCH/others-told" <"$SCRATCH/others"
need_quick "$SCRATCH/others-told" $SLACK_MS
need_allowed "$SCRATCH/others-told"
go_on
wait "$opener" || fail 'the opener waits for ever'
need_allowed "$SCRATCH/stopped-opener-told"

# ---- assayd's processes ----------------------------------------------------------------------------------------
# with_each COMMAND: while all of assayd's processes that have a role are stopped; the role is in $role, and how many
# were answered at the deadline before in $before.
with_each() {
	for role in worker anchor spawner scout control view; do
		mapfile -t stopped < <(child_pids $role)
		[ ${#stopped[@]} != 0 ] || { echo "no process '$role'" && continue; }
		before=$(status events.deadlines)
		halt "${stopped[@]}"
		"$@"
	done
}

# For less than the deadline.
for_a_moment() {
	round "$role-less"
	in_background read 60 "$SCRATCH/$role-less-told" <"$SCRATCH/$role-less"
	sleep 0.3
	go_on
	wait "$PID" || fail 'somebody waits'
	need_quick "$SCRATCH/$role-less-told" $SLACK_MS
	need_allowed "$SCRATCH/$role-less-told"
}
with_each for_a_moment
need_no_deadline
stop_assayd
wait "$WATCHER" || true

# For more.
for_long() {
	round "$role-more"
	round "$role-after"
	asks read 60 "$SCRATCH/$role-more-told" <"$SCRATCH/$role-more"
	need_quick "$SCRATCH/$role-more-told" $((1000 + SLACK_MS))
	need_allowed "$SCRATCH/$role-more-told"
	go_on
	asks read 8 "$SCRATCH/$role-after-told" <"$SCRATCH/$role-after"
	need_quick "$SCRATCH/$role-after-told" $SLACK_MS
	need_allowed "$SCRATCH/$role-after-told"
	echo "$role: $(($(status events.deadlines) - before)) openers were answered at the deadline"
}
start_hang workers=2 deadline_ms=1000
with_each for_long
hang_end "${TOLD[@]}"
