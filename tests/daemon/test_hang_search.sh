#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user's process whose exec waits for a FUSE server: whoever looks at its mount namespace in /proc waits, too. The
# search in other namespaces leaves it out and finds what is behind it, and status says so; 'assay doctor' ends.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need unshare blkid
no_chroot
hang_test
. "$SOURCE/tests/lib/doctor.sh"

truncate -s 20M "$SCRATCH/img"
mkfs.ext4 -q "$SCRATCH/img"
mkdir "$SCRATCH/there"
echo "measure func=FILE_CHECK fsuuid=$(blkid -s UUID -o value "$SCRATCH/img")" >"$SCRATCH/policy"
silent_server fuse write
touch "$SCRATCH/fuse.stall"
cp "$SOURCE/tests/daemon/exec_holder.py" "$SCRATCH/exec_holder.py"
MNT=''
start_assayd "policy=$SCRATCH/policy"

"${USER_RUNS[@]}" python3 "$SCRATCH/exec_holder.py" "$SCRATCH/fuse/file" &
holder=$!
_pids+=("$holder")
wait_for 60 grep -q silent "$SCRATCH/fuse.log"
keeps() {
	local status=0
	timeout -s KILL 5 stat -L "/proc/$1/ns/mnt" >/dev/null 2>&1 || status=$?
	[ $status = 137 ]
}
keeps "$holder" || skip 'on this kernel nobody waits for such a process'

# What comes behind it: its pid is higher.
background unshare -m --propagation private bash -c "mount -o loop '$SCRATCH/img' '$SCRATCH/there' && : >'$SCRATCH/ready' && exec sleep 300"
wait_for 60 test -e "$SCRATCH/ready"
wait_for 60 status_is watched 1
has_trouble() {
	status health.troubles | grep -q "\"$1\""
}
wait_for 60 has_trouble search_skips
[ "$(status elsewhere.hung)" = 0 ] || fail "a mount is blamed: $(status elsewhere)"
[ "$(status elsewhere.hung_processes)" = 1 ] || fail "$(status elsewhere)"
in_time() { ! has_trouble search_late; }
wait_for 60 in_time
! status uncovered | grep -q 'timed out' || fail "a namespace is blamed: $(status uncovered)"
expect_text "$(<"$LOG")" "waits for process $holder"
window=$(status elsewhere.window_ms)
[ "$window" -lt $SLACK_MS ] || fail "the search does not end: $window ms"
expect 1 "$ASSAY" status --control "$CONTROL" --openmetrics
expect_text "$OUT" '^assay_search_skipped_processes 1$'

# ---- the doctor -----------------------------------------------------------------------------------------------------
status=0
timeout -s KILL $((2 * PATIENCE)) "$ASSAY" doctor --control "$SCRATCH/none" --json >"$SCRATCH/json" || status=$?
[ $status -le 2 ] || fail "the doctor exits $status"
has held-processes warn 'f["hung"] == 1 and f["all"]'
has other-namespaces any 'f["filesystems"] >= 1'

# ---- it answers: tried again after a minute at most -----------------------------------------------------------------
kill_servers
if [ -n "$LONG" ]; then
	wait_for 90 status_is elsewhere.hung_processes 0
	[ "$(status health.ok)" = true ] || fail "$(status health)"
fi
stop_assayd
