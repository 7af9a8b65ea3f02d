#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# While the list's filesystem is frozen main has much to say in the list, and does all else that it does: the service
# manager hears of it, what is mounted is watched, a worker that dies is replaced, who asks gets an answer, and a policy
# that cannot be recorded is refused. All that it had to say is in the list once that is thawed. If it is not thawed, it
# ends all the same when it is asked to, and the next start says that the one before did not end in order.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need blkid fsfreeze
freeze_test
FROZEN_S=14 QUIET_MS=8000 # so long it is frozen; so long at most the manager hears nothing: a reload takes five seconds

# A service manager that writes down when it was told that assayd lives.
cat >"$SCRATCH/manager.py" <<'EOT'
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    if b'WATCHDOG=1' in s.recv(4096):
        with open(sys.argv[2], 'a') as f:
            f.write('%d\n' % (time.monotonic() * 1000))
EOT
now_ms() {
	python3 -c 'import time; print(int(time.monotonic() * 1000))'
}
# need_heard FROM TO: nor was there a longer silence between the two.
need_heard() {
	local silence
	silence=$(awk -v from="$1" -v to="$2" -v at="$1" 'function look(t) { if (t - at > worst) worst = t - at; at = t }
		$1 > from && $1 < to { look($1) } END { look(to); print worst }' "$SCRATCH/told")
	echo "the manager heard nothing for $silence ms at most, of $(($2 - $1))"
	[ "$silence" -le "$QUIET_MS" ] || fail "the service manager heard nothing for $silence ms"
}
uuid() {
	blkid -s UUID -o value "$SCRATCH/$1.img"
}
is_unmeasured() { # who went on is a trouble before he is in the list
	status health.troubles | grep -q '"unmeasured"'
}
some_wait() { # records, for the list
	[ "$(status queues.records)" -gt 0 ]
}
new_worker() {
	[ "$(workers | grep -cvxF "$OLD_WORKERS")" = 1 ]
}

background python3 "$SCRATCH/manager.py" "$SCRATCH/notify" "$SCRATCH/told"
wait_for 10 test -S "$SCRATCH/notify"
export NOTIFY_SOCKET=$SCRATCH/notify
scratch_mount later
chmod 1777 "$SCRATCH/later"
umount "$SCRATCH/later"
{
	echo "measure func=FILE_CHECK mask=^MAY_READ uid=65534 fsuuid=$(uuid mnt)"
	echo "measure func=FILE_CHECK mask=^MAY_READ uid=65534 fsuuid=$(uuid later)"
	echo 'measure func=FILE_CHECK fsmagic=0x1cd1' # devpts, which cannot be watched
} >"$SCRATCH/policy"
make_files "$MNT/files" 150 >"$SCRATCH/files"
mount=$MNT MNT=''
start_hang

# ---- it is thawed ------------------------------------------------------------------------------------------------
began=$(now_ms)
fsfreeze -f "$mount"
asks read 150 "$SCRATCH/told-late" <"$SCRATCH/files"
need_quick "$SCRATCH/told-late" $((DEADLINE_MS + SLACK_MS))
need_allowed "$SCRATCH/told-late"
mkdir "$SCRATCH/pts"
mount -t devpts none -o newinstance "$SCRATCH/pts"
_mounts+=("$SCRATCH/pts")
mount -o loop "$SCRATCH/later.img" "$SCRATCH/later"
wait_for 20 status_is watched 2
OLD_WORKERS=$(workers)
kill -KILL "$(head -n 1 <<<"$OLD_WORKERS")"
wait_for 20 new_worker
wait_for 20 is_unmeasured
wait_for 20 some_wait
[ "$(status events.deadlines)" = 0 ] || fail 'what is counted is not in the list'
expect 1 timeout 60 "$ASSAY" reload --control "$CONTROL"
expect_text "$OUT$ERR" 'does not answer'
while [ $(($(now_ms) - began)) -lt $((FROZEN_S * 1000)) ]; do sleep 0.1; done
need_heard "$began" "$(now_ms)"
fsfreeze -u "$mount" || fail 'it was thawed too early'
wait_for 60 status_is events.deadlines 150
wait_for 60 status_is queues.records 0
named=$(state_records 'event=deadline;path=')
counted=$(state_texts | sed -n 's/.*event=deadline;count=\([0-9]*\);.*/\1/p' | awk '{ n += $1 } END { print n + 0 }')
echo "$named openers are named, $counted counted"
[ $((named + counted)) = 150 ] || fail "$named openers are named and $counted counted, of 150"
records_are "event=uncovered;type=devpts;point=$SCRATCH/pts;" = 1 || fail 'what is not watched is not recorded'
wait_for 60 records_are event=policy_refused = 1 'the refused policy is not in the list'
expect 0 timeout 60 "$ASSAY" reload --control "$CONTROL"
make_files "$SCRATCH/later/files" 5 >"$SCRATCH/later-files"
asks read 5 "$SCRATCH/told-later" <"$SCRATCH/later-files"
hang_end "$SCRATCH"/told-{late,later}

# ---- it is not ---------------------------------------------------------------------------------------------------
start_hang
make_files "$mount/more" 100 >"$SCRATCH/more"
fsfreeze -f "$mount"
asks read 100 "$SCRATCH/told-more" <"$SCRATCH/more"
need_allowed "$SCRATCH/told-more"
began=$(now_ms)
stop_assayd
echo "assayd ended after $(($(now_ms) - began)) ms, with a list that takes nothing"
log_says 'the list takes no records: [0-9]+ are lost' || fail 'it does not say that records are lost'
fsfreeze -u "$mount" || fail 'it was thawed too early'
start_hang
wait_for 60 records_are 'event=start;.*last=crashed;' = 1 'the list does not say that the run before was cut off'
stop_assayd
