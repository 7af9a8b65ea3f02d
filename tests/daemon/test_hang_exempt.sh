#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What nobody waits for takes nothing from those who wait: files of an exempt process that grow while they are queued to be
# measured, one that is measured late, and one whose reader dies.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount=1G
LIMIT_MIB=8

# The exempt one opens each path that it is told; the others are the user's.
mkfifo "$SCRATCH/paths"
background python3 -c '
import sys
for line in open(sys.argv[1]):
    open(line.strip()).read(1)
    print(line, end="", flush=True)' "$SCRATCH/paths" >"$SCRATCH/opened"
exempt=$PID
exec 7>"$SCRATCH/paths"
exempt_opens() {
	echo "$1" >&7
	wait_for 60 grep -qx "$1" "$SCRATCH/opened"
}
begin() {
	start_hang workers=1 "exempt_pid=$exempt" "$@"
	[ "$(workers | wc -l)" = 2 ] || fail "workers: $(workers)"
	wait_for 60 none_held # what runs already is measured
}
end() {
	stop_assayd
	wait "$WATCHER" || true
}
for name in few dies; do
	user 65533
	make_files "$MNT/$name" 20 >"$SCRATCH/$name"
done
user
make_files "$MNT/grows" 5 >"$SCRATCH/grows"

# ---- it grows past the limit --------------------------------------------------------------------------------------
begin max_file_size_mib=$LIMIT_MIB
signal_workers -STOP
exempt_opens "$MNT/grows/4"
set_size "$MNT/grows/4" $((4 * LIMIT_MIB << 20))
signal_workers -CONT
is_told() { [ "$(state_records "event=too-large;path=$MNT/grows/4;size=$((4 * LIMIT_MIB << 20));")" = 1 ]; }
wait_for 60 is_told
need_measured "$MNT/grows/4" 0
end

# ---- several that take long -----------------------------------------------------------------------------------------
# They come while the one worker has something, so that they would be the spare one's.
begin "deadline_ms=$FAR_DEADLINE_MS"
user
as_user truncate -s 6M "$MNT/big"
signal_workers -STOP
in_background read 1 "$SCRATCH/big-told" <<<"$MNT/big"
opener=$PID
wait_for 60 status_is events.held 1
for i in 0 1 2 3; do exempt_opens "$MNT/grows/$i"; done
for i in 0 1 2 3; do set_size "$MNT/grows/$i" $((12 << 30)); done
workers_begin
signal_workers -CONT
wait "$opener" || fail 'somebody waits for ever'
wait_for 60 one_is_busy
user 65533
asks read 1 "$SCRATCH/few-told" <"$SCRATCH/few"
need_quick "$SCRATCH/few-told" $SLACK_MS
need_allowed "$SCRATCH/few-told"
end

# ---- a reader dies, and the other one has what nobody waits for -----------------------------------------------------
begin max_file_size_mib=$LIMIT_MIB too_large=measure-late "deadline_ms=$FAR_DEADLINE_MS"
user
keep_busy
user 65533
in_background read 1 "$SCRATCH/dies-told" <"$SCRATCH/dies"
opener=$PID
wait_for 60 some_held 2
kill -KILL "$SPARE"
wait "$opener" || fail 'somebody waits for ever'
need_quick "$SCRATCH/dies-told" $SLACK_MS
need_allowed "$SCRATCH/dies-told"
need_no_deadline
user
set_size "$MNT/huge" 4096
hang_end "$SCRATCH"/{big,few,dies,huge}-told
