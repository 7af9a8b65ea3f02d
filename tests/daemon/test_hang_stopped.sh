#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Processes that are stopped: an opener who waits, and each of assayd's own children, for less and for more than the
# deadline. The others are answered, what was not measured has a gap record, and all goes on when they do.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount tpm
delay_begin 0
DEADLINE_MS=1000
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

start_hang workers=2

# ---- an opener -----------------------------------------------------------------------------------------------
round stopped-opener
round others
echo 'delay 500000' >"$DELAY_CONTROL"
in_background read 7 "$SCRATCH/stopped-opener-told" <"$SCRATCH/stopped-opener"
opener=$PID
wait_for 10 opener_runs
wait_for 10 some_held 7
mapfile -t stopped <"$SCRATCH/opener-pid"
kill -STOP "${stopped[@]}"
echo 'delay 0' >"$DELAY_CONTROL"
asks read 8 "$SCRATCH/others-told" <"$SCRATCH/others"
need_quick "$SCRATCH/others-told" $SLACK_MS
need_allowed "$SCRATCH/others-told"
go_on
wait "$opener" || fail 'the opener waits for ever'
need_allowed "$SCRATCH/stopped-opener-told"

# ---- assayd's processes ----------------------------------------------------------------------------------------
for role in worker anchor spawner scout control view; do
	mapfile -t pids < <(child_pids $role)
	[ ${#pids[@]} != 0 ] || { echo "no process '$role'" && continue; }
	round "$role-less"
	round "$role-more"
	round "$role-after"
	before=$(status events.deadlines)
	stopped=("${pids[@]}")
	kill -STOP "${stopped[@]}"
	in_background read 60 "$SCRATCH/$role-less-told" <"$SCRATCH/$role-less"
	opener=$PID
	sleep 0.3
	go_on
	wait "$opener" || fail 'somebody waits'
	need_quick "$SCRATCH/$role-less-told" $((DEADLINE_MS + SLACK_MS))
	need_allowed "$SCRATCH/$role-less-told"
	[ "$(status events.deadlines)" = "$before" ] || fail "$role stopped for a moment: somebody was answered at the deadline"
	stopped=("${pids[@]}")
	kill -STOP "${stopped[@]}"
	asks read 60 "$SCRATCH/$role-more-told" <"$SCRATCH/$role-more"
	need_quick "$SCRATCH/$role-more-told" $((DEADLINE_MS + SLACK_MS))
	need_allowed "$SCRATCH/$role-more-told"
	go_on
	asks read 8 "$SCRATCH/$role-after-told" <"$SCRATCH/$role-after"
	need_quick "$SCRATCH/$role-after-told" $SLACK_MS
	need_allowed "$SCRATCH/$role-after-told"
	echo "$role: $(($(status events.deadlines) - before)) openers were answered at the deadline"
done
hang_end "${TOLD[@]}"
