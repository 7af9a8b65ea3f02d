#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The processes of a running assayd: what each has in its hands, that the ends of main and of the anchor
# leave nobody waiting and nothing lost, and that the next start finds the list free.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm
need pgrep

# has_ended PID
has_ended() {
	! kill -0 "$1" 2>/dev/null
}

# word PID KEY: of /proc/PID/status.
word() {
	awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status"
}

# need_files_of PID PATTERN: each of its descriptors is one of these; no event of a file is, nor a group.
need_files_of() {
	local link to
	for link in "/proc/$1/fd"/*; do
		to=$(readlink "$link") || continue
		[[ $to =~ $2 ]] || fail "process $1 has '$to'"
	done
}

# ---- what they hold ------------------------------------------------------------------------------
start_assayd
echo one >"$MNT/one"
cat "$MNT/one" >/dev/null
need_measured "$MNT/one" 1
anchor=$(child_pid anchor)
find "/proc/$DAEMON/fd" -lname 'anon_inode:\[fanotify\]' | grep -q . || fail 'main has no group'
for pid in $(pgrep -P "$DAEMON") $(pgrep -P "$(pgrep -P "$DAEMON" | head -n 1)"); do
	! find "/proc/$pid/fd" -lname '*fanotify*' | grep -q . || fail "process $pid has the group"
	[ "$(word "$pid" TracerPid)" = 0 ] || fail "process $pid is traced"
done
need_files_of "$anchor" "^(socket:|pipe:|/dev/null|/dev/pts/|anon_inode:\\[eventpoll|$LIST|$LOG)"
[ "$(word "$anchor" CapEff)$(word "$anchor" CapPrm)$(word "$anchor" CapBnd)" = \
	000000000000000000000000000000000000000000000000 ] || fail 'the anchor has capabilities'
[ "$(word "$anchor" NoNewPrivs) $(word "$anchor" Seccomp)" = '1 2' ] || fail 'the anchor is not bounded'
for task in "/proc/$anchor/task"/*; do
	[ "$(awk '$1 == "Seccomp:" { print $2 }' "$task/status")" = 2 ] || fail 'a thread is not bounded'
done
# Whom it starts has no more: CAP_SYS_MODULE (16), CAP_SYS_RAWIO (17), CAP_SYS_BOOT (22), CAP_SYS_TIME (25), CAP_MKNOD (27).
spawner=$(pgrep -P "$DAEMON" | head -n 1)
[ "$(word "$spawner" NoNewPrivs) $(word "$spawner" Seccomp)" = '1 2' ] || fail 'the spawner is not bounded'
for set in CapBnd CapPrm CapEff; do
	(((0x$(word "$spawner" "$set") & 0xa430000) == 0)) || fail "the spawner's $set is $(word "$spawner" "$set")"
done
need_proved
stop_assayd
has_ended "$anchor" || fail 'the anchor outlives a stop'
wait_for 60 records_are 'event=stop;' = 1 'a stop is not in the list'

# ---- the anchor is killed under load -------------------------------------------------------------
# Openers go on, assayd says what happened and ends with 2; whoever was let go before it is in the list, once.
LIST=$SCRATCH/list-kill
# load ROUND: writes a line "TIME PATH" to $SCRATCH/acks after each open.
load() {
	python3 - "$MNT" "$1" >>"$SCRATCH/acks" <<-'EOF'
		import sys, threading, time
		def run(n):
		    for i in range(150):
		        path = '%s/load-%s-%d-%d' % (sys.argv[1], sys.argv[2], n, i)
		        with open(path, 'w') as f:
		            f.write(path)
		        f = open(path)
		        sys.stdout.write('%.6f %s\n' % (time.time(), path))
		        f.close()
		threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
		for t in threads: t.start()
		for t in threads: t.join()
	EOF
}
: >"$LOG"
for round in 1 2 3 4; do
	start_assayd
	before=$(status list.records)
	background load "$round"
	load=$PID
	more_records() { [ "$(status list.records)" -gt "$((before + 20 * round))" ]; }
	wait_for 20 more_records
	printf '%s %s\n' "$round" "$(date +%s.%N)" >>"$SCRATCH/killed"
	kill -KILL "$(child_pid anchor)"
	wait "$DAEMON" && fail 'assayd exits 0 though its anchor was killed' || [ $? = 2 ] || fail "assayd exits $?"
	kill -KILL "$GUARD"
	DAEMON=''
	wait "$load" || fail 'an open was refused when the anchor was killed'
	timeout $PATIENCE cat "$MNT/one" >/dev/null || fail 'opens hang after the anchor was killed'
done
[ "$(grep -c 'the anchor process is gone' "$LOG")" -ge 4 ] || fail 'it does not say that the anchor is gone'
start_assayd
need_proved
[ "$(find "$LIST" -name 'segment-*' | wc -l)" = 1 ] || fail 'the list broke when the anchor was killed'
wait_for 60 records_are 'event=start;.*last=crashed;' = 4 'the list does not say how the runs ended'
entries >"$SCRATCH/entries"
# On a busy machine a worker that says nothing is taken for one that hangs: then a gap record names the file.
state_texts | sed -n 's/.*event=deadline;path=\([^;]*\);.*/\1/p' >"$SCRATCH/gaps"
# How many were let go before the anchor of their round was killed, and are not in the list.
awk 'FILENAME ~ /killed$/ { killed[$1] = $2; next }
	FILENAME ~ /gaps$/ { listed[$1] = 1; next }
	FILENAME ~ /entries$/ { listed[$5] = 1; next }
	{ split($2, part, "-"); sure = $1 < killed[part[length(part) - 2]]; n += sure }
	sure && !listed[$2] { lost++; print "lost: " $2 }
	END { if (n < 40) print "only " n " were let go before"; exit n < 40 || lost > 0 }' \
	"$SCRATCH/killed" "$SCRATCH/gaps" "$SCRATCH/entries" "$SCRATCH/acks" >&2 ||
	fail "the list lost entries: $(state_texts | grep -v event=self | tail -n 30; tail -n 30 "$LOG")"
awk '$5 ~ /load-/ { print $4, $5 }' "$SCRATCH/entries" | sort | uniq -d >"$SCRATCH/twice"
! test -s "$SCRATCH/twice" || fail "in the list twice: $(head -n 3 "$SCRATCH/twice")"
stop_assayd

# ---- the spawner is killed -------------------------------------------------------------------------
# Nothing that ends could be replaced: assayd stops in order and says why; the others end with it.
LIST=$SCRATCH/list-spawner
start_assayd
cat "$MNT/one" >/dev/null
worker=$(child_pid worker | head -n 1)
kill -KILL "$(pgrep -P "$DAEMON" -f '^assayd: spawner')"
wait "$DAEMON" && fail 'assayd exits 0 though its spawner was killed' || [ $? = 2 ] || fail "assayd exits $?"
kill -KILL "$GUARD"
grep -q 'the spawner process is gone' "$LOG" || fail 'it does not say that the spawner is gone'
wait_for 5 has_ended "$worker"
timeout $PATIENCE cat "$MNT/one" >/dev/null || fail 'opens hang after the spawner was killed'
wait_for 60 records_are 'event=stop;' = 1 'the list has no end'

# ---- main is killed ------------------------------------------------------------------------------
# The anchor ends with it, and a start at once gets the lock, even if the anchor needs a moment.
LIST=$SCRATCH/list-main
start_assayd
anchor=$(child_pid anchor)
kill -KILL "$DAEMON"
wait "$DAEMON" || true
kill -KILL "$GUARD"
start_assayd
has_ended "$anchor" || fail 'the anchor outlives main'
cat "$MNT/one" >/dev/null
need_measured "$MNT/one" 1
# One that is stopped when its main is killed holds the lock until it is killed too, which is soon.
anchor=$(child_pid anchor)
halt "$anchor"
kill -KILL "$DAEMON"
wait "$DAEMON" || true
kill -KILL "$GUARD"
start_assayd
has_ended "$anchor" || fail 'a stopped anchor outlives main'
need_proved

# ---- an anchor that hangs ------------------------------------------------------------------------
# Whoever waits is answered at the deadline all the same.
stop_assayd
LIST=$SCRATCH/list-hang
start_assayd deadline_ms=700
anchor=$(child_pid anchor)
halt "$anchor"
echo hang >"$MNT/hang"
SECONDS=0
timeout $((2 * PATIENCE)) cat "$MNT/hang" >/dev/null || fail 'an opener was refused'
[ $SECONDS -lt $PATIENCE ] || fail 'an opener waited for an anchor that hangs'
kill -CONT "$anchor"
gap_is_there() { [ "$(state_records "event=deadline;path=$MNT/hang;")" -ge 1 ]; }
wait_for 20 gap_is_there
need_proved
stop_assayd
