#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A new assayd that fails at any step before it has taken all: the one before goes on, with whoever waited, and
# with an anchor that finds its place again. One that is killed after it has taken all: the kernel lets everybody go.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
need setpriv
daemon_test mount=256M tpm
chmod 711 "$SCRATCH"
upgrade_begin
mkdir "$MNT/load"
chmod 777 "$MNT/load"
chmod 755 "$MNT"
cp "$STEADY" "$SCRATCH/steady"
chmod 755 "$SCRATCH/steady"

start_assayd
background setpriv --reuid=65534 --regid=65534 --clear-groups "$SCRATCH/steady" "$MNT/load" "$SCRATCH/stop" 4 \
	>"$SCRATCH/load"
LOAD=$PID
wait_for 20 test -e "$MNT/load/3-20"

# Of its content; there may be others, of when it was written.
has_record() {
	local digest
	entries >"$SCRATCH/entries"
	digest=$(sha256sum "$1")
	grep -q " sha256:${digest%% *} $1\$" "$SCRATCH/entries"
}

install_assayd "$SOURCE/tests/daemon/false_successor.py"
n=0
# fails STEP [HOW]
fails() {
	echo "$*" >"$ASSAYD.step"
	rm -f "$ASSAYD.reached"
	n=$((n + 1))
	expect 1 timeout 100 "$ASSAY" upgrade --control "$CONTROL"
	expect_text "$ERR" "process $DAEMON goes on: the new one"
	[ "$1" = lie ] || [ "$1" = order ] || [ "$(cat "$ASSAYD.reached")" = "$1" ] || fail "'$*' was not reached"
	[ "$(status handover.failed)" = $n ] || fail 'a failure is not counted'
	echo "$*" >"$MNT/after-$n"
	timeout $PATIENCE cat "$MNT/after-$n" >/dev/null || fail "nobody answers after '$*'"
	has_record "$MNT/after-$n" || fail "'$MNT/after-$n' is not measured after '$*'"
}
fails offer
fails lie
fails order
fails list
fails group
fails events
fails events hang
touch "$SCRATCH/stop"
wait "$LOAD" || fail 'who opens gave up'
wait_for 20 status_is events.held 0
! grep -v '^ok ' "$SCRATCH/load" || fail 'somebody was refused'
longest=$(sort -k 2 -n "$SCRATCH/load" | tail -n 1 | cut -d ' ' -f 2)
[ "${longest%.*}" -lt 30000 ] || fail "an opener waited $longest ms"
entries | cut -d ' ' -f 4,5 | sort -u >"$SCRATCH/measured"
find "$MNT/load" -type f -exec sha256sum {} + | sed 's/^\([0-9a-f]*\)  /sha256:\1 /' | sort |
	comm -23 - "$SCRATCH/measured" >"$SCRATCH/missing"
[ ! -s "$SCRATCH/missing" ] || fail "$(wc -l <"$SCRATCH/missing") files are not measured: $(head -n 3 "$SCRATCH/missing")"
wait_for 60 records_are 'event=handover_failed' = $n 'not each failure is in the list'
[ "$(state_records 'event=deadline')" = 0 ] || fail 'somebody was let go'
echo "$(wc -l <"$SCRATCH/load") files over $n failures; the longest wait $longest ms"
need_proved
! grep 'hand-overs\|DOES NOT FIT' <<<"$OUT" || fail 'log verify knows of hand-overs that were undone'

# A good one, but an anchor that could not end: nobody is held back for it.
install_assayd "$INSTALLED"
anchor=$(child_pid anchor)
halt "$anchor"
expect 1 timeout 100 "$ASSAY" upgrade --control "$CONTROL"
expect_text "$ERR" "process $DAEMON goes on: the anchor process does not answer"
kill -CONT "$anchor"

# And then one that is killed.
expect 0 timeout 100 "$ASSAY" upgrade --control "$CONTROL"
pid=$(status handover.pid)
echo known >"$MNT/known"
timeout $PATIENCE cat "$MNT/known" >/dev/null
need_measured "$MNT/known" 1
kill -KILL "$pid"
echo unseen >"$MNT/unseen"
timeout $PATIENCE cat "$MNT/unseen" >/dev/null || fail 'who opens waits for a process that is dead'
