#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# FUSE servers that take a request and never answer it. Who opens their files waits for them, and nobody else
# does: not for a file beside, not for a program that runs from there, not at assayd's start.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need blkid
hang_test mount tpm

# maps FILE: a process of the user's runs on as if FILE were a library of it.
maps() {
	background "${USER_RUNS[@]}" python3 -c '
import mmap, os, signal, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
code = mmap.mmap(fd, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
os.close(fd)
print("mapped", flush=True)
signal.pause()' "$1" >"$SCRATCH/maps"
	wait_for 60 grep -q mapped "$SCRATCH/maps"
}

# ---- before the start, and later ---------------------------------------------------------------------------
silent_server first open
maps "$SCRATCH/first/file"
touch "$SCRATCH/first.stall"
make_files "$MNT/one" 200 >"$SCRATCH/one"
make_files "$MNT/two" 200 >"$SCRATCH/two"
{
	echo "measure func=FILE_CHECK mask=^MAY_READ fsuuid=$(blkid -s UUID -o value "$SCRATCH/mnt.img")"
	echo 'measure func=FILE_CHECK fsmagic=0x65735546'
} >"$SCRATCH/policy"
watched=$MNT
MNT=''
start_hang "deadline_ms=$FAR_DEADLINE_MS"
in_background read 20 "$SCRATCH/first-told" < <(for i in {1..20}; do echo "$SCRATCH/first/file"; done)
stuck=$PID
wait_for 60 grep -q silent "$SCRATCH/first.log"
asks read 8 "$SCRATCH/one-told" <"$SCRATCH/one"
need_quick "$SCRATCH/one-told" $SLACK_MS
need_allowed "$SCRATCH/one-told"
silent_server second read
touch "$SCRATCH/second.stall"
second_seen() {
	status uncovered | grep -q "\"point\": \"$SCRATCH/second\", \"type\": \"fuse\""
}
wait_for 60 second_seen
background "${USER_RUNS[@]}" "$SCRATCH/second/file" 2>/dev/null
wait_for 60 grep -q silent "$SCRATCH/second.log"
asks read 8 "$SCRATCH/two-told" <"$SCRATCH/two"
need_quick "$SCRATCH/two-told" $SLACK_MS
need_allowed "$SCRATCH/two-told"
[ "$(status events.deadlines)" = 0 ] || fail 'somebody waited'
wait_for 60 records_are "event=uncovered;type=fuse;point=$SCRATCH/" = 2 'they are not recorded as uncovered'
hang_end "$SCRATCH"/{one,two}-told
kill_servers
wait "$stuck" || fail 'who waited for a server still does'

# ---- only what is named is watched ----------------------------------------------------------------------------
MNT=$watched LIST=$SCRATCH/list-named
silent_server third open
maps "$SCRATCH/third/file"
touch "$SCRATCH/third.stall"
start_hang "deadline_ms=$FAR_DEADLINE_MS"
echo named >"$MNT/named"
echo "$MNT/named" | asks read 1 "$SCRATCH/named-told"
need_quick "$SCRATCH/named-told" $SLACK_MS
hang_end "$SCRATCH/named-told"
