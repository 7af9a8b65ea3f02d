#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A hand-over while some hundreds of openers wait, and one while there are more than can be handed over: the first
# are measured by the new one, all of them; of the others each has an answer, and whoever went on unmeasured is counted.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount=256M tpm
most=$(ulimit -H -n)
[ "$most" = unlimited ] || [ "$most" -ge 16384 ] || skip "there may be $most descriptors only"
upgrade_begin
DAEMON_SECONDS=240
echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"
# all_wait COUNT: so many at least.
all_wait() {
	[ "$(status events.held)" -ge "$1" ]
}
# opens COUNT: so many files at once, of which none is known.
opens() {
	local i
	mkdir "$MNT/$1"
	for ((i = 0; i < $1; i++)); do echo "$MNT/$1/$i"; done >"$SCRATCH/paths"
	while read -r i; do echo "$i" >"$i"; done <"$SCRATCH/paths"
	workers | xargs kill -STOP
	background timeout 200 "$OPENER" read "$1" <"$SCRATCH/paths" >"$SCRATCH/answers"
	OPENING=$PID
	wait_for 60 all_wait $(($1 * 4 / 5)) # a worker that is stopped may be replaced
}
# taken_over: and the daemon's pid is that of the new one.
taken_over() {
	local before=$DAEMON
	expect 0 timeout 200 "$ASSAY" upgrade --control "$CONTROL"
	DAEMON=$(status handover.pid)
	guard "$DAEMON"
	wait_for 60 has_ended "$before"
	wait "$OPENING" || fail 'who opens gave up'
	wait_for 60 status_is events.held 0
	! grep -v '^ok ' "$SCRATCH/answers" || fail 'somebody was refused'
	state_texts | grep 'event=takeover;' | tail -n 1 >"$SCRATCH/takeover"
	cat "$SCRATCH/takeover"
}
waiting() {
	sed -n 's/.*;waiting=\([0-9]*\);.*/\1/p' "$SCRATCH/takeover"
}
# measured: how many of those files are in the list, each with its content.
measured() {
	entries | cut -d ' ' -f 4,5 | sort -u >"$SCRATCH/measured"
	xargs sha256sum <"$SCRATCH/paths" | sed 's/^\([0-9a-f]*\)  /sha256:\1 /' | sort | comm -12 - "$SCRATCH/measured" | wc -l
}

start_assayd "policy=$SCRATCH/policy" deadline_ms=600000
opens 700
taken_over
[ "$(waiting)" -ge 500 ] || fail 'too few were handed over: that is no test'
grep -q ';lost=0;' "$SCRATCH/takeover" || fail 'not all of them were handed over'
[ "$(measured)" = 700 ] || fail 'not all of them are measured'
[ "$(state_records 'event=\(deadline\|overflow\)')" = 0 ] || fail 'somebody was let go'
need_proved

# ---- more than can be handed over ---------------------------------------------------------------------------------
opens 3500
taken_over
[ "$(waiting)" -ge 500 ] || fail 'too few were handed over: that is no test'
n=$(measured)
# let_go: how many went on unmeasured; some have a record of their own.
let_go() {
	state_texts | sed -n 's/.*event=deadline;path=.*/1/p;s/.*event=[a-z]*;count=\([0-9]*\);.*/\1/p;s/.*event=takeover;.*lost=\([0-9]*\).*/\1/p' |
		awk '{ n += $1 } END { print n + 0 }'
}
echo "$(waiting) of 3500 were handed over; $n are measured, $(let_go) let go"
[ $((n + $(let_go))) -ge 3500 ] || fail 'somebody went on unseen'
need_proved
kill -TERM "$DAEMON"
wait_for 60 has_ended "$DAEMON"

# ---- who is exempt, and opens what is not measured ------------------------------------------------------------------
# What he opens is either counted by one of them or by the other.
truncate -s 2M "$MNT/large"
mkfifo "$SCRATCH/words"
background bash -c 'n=0
	read -r _ <"$1"
	while [ ! -e "$2" ]; do
		: <"$3"
		n=$((n + 1))
		read -r -t 0.001 _ <>"$1"
	done
	echo $n >"$1.n"' opener "$SCRATCH/words" "$SCRATCH/stop" "$MNT/large"
EXEMPT=$PID
start_assayd "policy=$SCRATCH/policy" max_file_size_mib=1 "exempt_pid=$EXEMPT"
before=$(state_records 'event=')
echo >"$SCRATCH/words"
for _ in 1 2 3; do
	expect 0 timeout 200 "$ASSAY" upgrade --control "$CONTROL"
done
touch "$SCRATCH/stop"
wait "$EXEMPT"
DAEMON=$(status handover.pid)
kill -TERM "$DAEMON"
wait_for 60 has_ended "$DAEMON"
unmeasured() {
	state_texts | tail -n "+$((before + 1))" |
		sed -n 's/.*event=exempt-unmeasured;.*count=\([0-9]*\);.*/\1/p;s/.*event=takeover;.*lost=\([0-9]*\);.*/\1/p' |
		awk '{ n += $1 } END { print n + 0 }'
}
opened=$(cat "$SCRATCH/words.n")
state_texts | tail -n "+$((before + 1))" | grep 'event=takeover;'
echo "of $opened files that an exempt process opened, $(unmeasured) are said not to be measured"
[ "$(unmeasured)" = "$opened" ] || fail 'they are not all counted'
