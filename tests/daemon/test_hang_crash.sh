#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A worker crashes, as by a fault in what parses: again and again while users open files, and each time that it is
# given one certain file. Nobody is refused, all that was opened is in the list, or in a gap record, others take their
# place, and the file that kills its readers has a gap record that says so.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount=1G tpm
crashes=$((20 / SLOW)) files=$((3000 / SLOW))
[ -z "$LONG" ] || { crashes=200 DAEMON_SECONDS=600 ASK_SECONDS=300; }

all_back() {
	[ "$(workers | wc -l)" = 3 ]
}

# Who reads the file that kills its readers, one a line.
readers() {
	local pid fd
	for pid in $(workers); do
		for fd in /proc/"$pid"/fd/*; do
			[ "$(readlink "$fd" 2>/dev/null)" != "$MNT/bad" ] || echo "$pid"
		done
	done
}
is_read() {
	[ -n "$(readers)" ]
}

make_files "$MNT/after" 100 >"$SCRATCH/after"
make_files "$MNT/beside" 100 >"$SCRATCH/beside"
# Two workers are to crash before anybody's deadline.
start_hang workers=2 "deadline_ms=$((40000 + 10000 * SLOW))"
all_back || fail "there are $(workers | wc -l) workers, not 3"

# ---- any of them, under load -----------------------------------------------------------------------------------
# As long as it takes when nobody crashes is a measure of this machine.
make_files "$MNT/calm" $files >"$SCRATCH/calm"
asks read 16 "$SCRATCH/calm-told" <"$SCRATCH/calm"
calm=$(cut -d ' ' -f 2 "$SCRATCH/calm-told" | sort -n | tail -n 1)
rm -r "$MNT/calm"
n=0 runs=0
while [ $n -lt $crashes ]; do
	runs=$((runs + 1))
	make_files "$MNT/run-$runs" $files >"$SCRATCH/run-$runs"
	in_background read 16 "$SCRATCH/run-$runs-told" <"$SCRATCH/run-$runs"
	opener=$PID
	while [ $n -lt $crashes ] && kill -0 $opener 2>/dev/null; do
		signal=$(shuf -n 1 -e SEGV ABRT BUS ILL)
		# shellcheck disable=SC2046 # numbers
		! kill -$signal $(workers | shuf -n 1) 2>/dev/null || n=$((n + 1))
		sleep 0.05
	done
	wait $opener || fail 'somebody waits for ever'
	need_quick "$SCRATCH/run-$runs-told" $((10000 + 20 * calm))
	need_allowed "$SCRATCH/run-$runs-told"
	rm -r "$MNT/run-$runs" # else there is no room for as many as a long run has
	[ $runs -lt $((crashes * 2)) ] || fail "only $n workers crashed"
done
echo "$n workers crashed in $runs runs; $(status events.deadlines) openers were let go"
wait_for 60 all_back

# ---- all that read one file ------------------------------------------------------------------------------------
as_user truncate -s 15G "$MNT/bad" || skip "cannot make a file of 15 GiB here"
in_background read 1 "$SCRATCH/bad-told" <<<"$MNT/bad"
opener=$PID began=$(date +%s%3N)
for i in 1 2; do
	wait_for 60 is_read
	asks read 4 "$SCRATCH/beside-$i" <"$SCRATCH/beside"
	# shellcheck disable=SC2046 # numbers
	kill -SEGV $(readers)
done
killed_ms=$(($(date +%s%3N) - began))
wait $opener || fail 'who opens a file that kills its readers waits for ever'
need_quick "$SCRATCH/bad-told" $((killed_ms + SLACK_MS))
need_allowed "$SCRATCH/bad-told"
bad_recorded() { [ "$(state_records "event=deadline;path=$MNT/bad;.*why=worker;")" = 1 ]; }
wait_for 60 bad_recorded
for i in 1 2; do need_allowed "$SCRATCH/beside-$i" && need_quick "$SCRATCH/beside-$i" $SLACK_MS; done
wait_for 60 all_back
asks read 8 "$SCRATCH/after-told" <"$SCRATCH/after"
need_quick "$SCRATCH/after-told" $SLACK_MS
need_allowed "$SCRATCH/after-told"
hang_end "$SCRATCH"/{calm,run-*,bad,after}-told "$SCRATCH"/beside-[12]
