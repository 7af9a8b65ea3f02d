#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# With lock_memory = yes all that main and the anchor process have mapped is locked, what they map later, and after a
# hand-over what their successors do; the list grows, openers are answered, and it takes no more memory than without.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need prlimit
prlimit --memlock=unlimited true 2>/dev/null || skip 'nobody here may raise the limit of locked memory'
hang_test mount tpm
FILES=2000

# need_locked PID WHO: each mapping, but for those that the kernel has made and never pages out, and the sum of them.
need_locked() {
	local open locked
	open=$(awk '/^[0-9a-f]+-[0-9a-f]+ / { name = $0 }
		/^VmFlags:/ && !/ lo( |$)/ && !/ (io|pf|de)( |$)/ { print name }' "/proc/$1/smaps" |
		grep -v -E '\[(vdso|vvar[a-z_]*|vsyscall)\]|anon_inode:|/dev/shadow' || true)
	[ -z "$open" ] || fail "$2 has memory that is not locked: $open"
	locked=$(awk '/^VmLck:/ { print $2 }' "/proc/$1/status")
	echo "$2: $locked KiB are locked, of $(awk '/^VmSize:/ { print $2 }' "/proc/$1/status") mapped"
	[ "$locked" -gt 1000 ] || fail "of $2 only $locked KiB are locked"
}
# resident PID: KiB.
resident() {
	awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"
}
pss() {
	# shellcheck disable=SC2046 # numbers
	cat $(pgrep -P "$DAEMON,$(pgrep -d , -P "$DAEMON")" | sed 's#.*#/proc/&/smaps_rollup#') "/proc/$DAEMON/smaps_rollup" |
		awk '/^Pss:/ { kib += $2 } END { print kib }'
}

# need_all_locked: of who serves now.
need_all_locked() {
	need_locked "$DAEMON" main
	need_locked "$(child_pid anchor)" 'the anchor process'
}

upgrade_begin
for lock in no yes; do
	LIST=$SCRATCH/list-$lock
	make_files "$MNT/$lock" $FILES >"$SCRATCH/$lock"
	start_hang "lock_memory=$lock" "deadline_ms=$FAR_DEADLINE_MS"
	asks read 8 "$SCRATCH/$lock-told" <"$SCRATCH/$lock"
	need_allowed "$SCRATCH/$lock-told"
	need_no_deadline
	wait_for 60 all_anchored
	echo "lock_memory=$lock: PSS $(pss) KiB, main $(resident "$DAEMON") KiB, the anchor $(resident "$(child_pid anchor)") KiB resident"
	if [ $lock = no ]; then
		grep -q '^VmLck:[[:space:]]*0 kB' "/proc/$DAEMON/status" || fail 'main locks memory though it was not told to'
		hang_end "$SCRATCH/$lock-told"
	fi
done
need_all_locked
before=$DAEMON
expect 0 timeout 100 "$ASSAY" upgrade --control "$CONTROL"
DAEMON=$(status handover.pid)
[ "$DAEMON" != "$before" ] || fail 'nobody took over'
need_all_locked
make_files "$MNT/after" 100 >"$SCRATCH/after"
asks read 8 "$SCRATCH/after-told" <"$SCRATCH/after"
need_allowed "$SCRATCH/after-told"
need_accounted "$SCRATCH/yes-told" "$SCRATCH/after-told"
need_proved
kill -TERM "$DAEMON"
wait_for 60 has_ended "$DAEMON"
