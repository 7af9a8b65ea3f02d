#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# No user can stop, kill or look into assayd. When it is killed all the same, hundreds who wait go on at once, none of
# its processes stays, and the next start says how the run before has ended.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount tpm

# all_pids: of assayd, one a line; main is the first.
all_pids() {
	local children
	echo "$DAEMON"
	children=$(pgrep -d , -P "$DAEMON" || true)
	[ -z "$children" ] || pgrep -P "$DAEMON,$children"
}

# gone PID...: or dead, and whoever is to take notice has not yet.
gone() {
	local pid
	for pid; do
		! grep -q -v '^[0-9]* (.*) Z ' "/proc/$pid/stat" || return 1
	done
}

delay_begin 0
make_files "$MNT/files" 400 >"$SCRATCH/files"
make_files "$MNT/before" 100 >"$SCRATCH/before"
start_hang "deadline_ms=$FAR_DEADLINE_MS" tpm_timeout_ms=80000
asks read 8 "$SCRATCH/before-told" <"$SCRATCH/before"
need_allowed "$SCRATCH/before-told"
mapfile -t pids < <(all_pids)
[ ${#pids[@]} -ge 3 ] || fail "these are not its processes: ${pids[*]}"
echo "${#pids[@]} processes"
for pid in "${pids[@]}"; do
	for signal in KILL STOP HUP IO USR1; do
		! as_user kill -$signal "$pid" 2>/dev/null || fail "a user can send SIG$signal to $(tr '\0' ' ' <"/proc/$pid/cmdline")"
	done
	for file in mem fd/0 environ; do
		! as_user head -c 1 "/proc/$pid/$file" >/dev/null 2>&1 ||
			fail "a user can open $file of $(tr '\0' ' ' <"/proc/$pid/cmdline")"
	done
done

# ---- killed ------------------------------------------------------------------------------------------------
echo 'delay 80000000' >"$DELAY_CONTROL"
in_background read 400 "$SCRATCH/killed-told" <"$SCRATCH/files"
openers=$PID
wait_for 60 some_held 400
mapfile -t pids < <(all_pids)
kill -KILL "$GUARD"
began=$(date +%s%3N)
kill -KILL "$DAEMON"
wait "$openers" || fail 'somebody waits'
released=$(($(date +%s%3N) - began))
wait_for 60 gone "${pids[@]:1}"
ended=$(($(date +%s%3N) - began))
wait "$DAEMON" 2>/dev/null || true
echo "400 openers have gone on $released ms after it was killed, its processes were gone after $ended ms"
[ $released -lt $SLACK_MS ] || fail "they waited $released ms more"
[ $ended -lt $SLACK_MS ] || fail "its processes stayed for $ended ms"
need_allowed "$SCRATCH/killed-told"

# ---- the next one --------------------------------------------------------------------------------------------
wait "$WATCHER" || true
echo 'delay 0' >"$DELAY_CONTROL"
kill -KILL "$DELAY_PID" # it sleeps still
TCTI=$TCTI_BEHIND
start_hang
wait_for 60 records_are 'event=start;.*last=crashed;' = 1 'the list does not say how the run before has ended'
make_files "$MNT/after" 100 >"$SCRATCH/after"
asks read 8 "$SCRATCH/after-told" <"$SCRATCH/after"
need_allowed "$SCRATCH/after-told"
hang_end "$SCRATCH"/{before,after}-told
