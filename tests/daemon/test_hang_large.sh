#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Files over max_file_size_mib: with each value of too_large their openers are told at once, as it says, the list
# says so, and nobody else waits for them; with measure-late they are measured when nobody waits.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount=1G tpm
LIMIT_MIB=8 LATE_MIB=$((8 + 32 / SLOW)) GROWS_MIB=$((2048 / SLOW))

# large_files NAME COUNT SIZE: sparse, the user's; each another.
large_files() {
	local i
	as_user mkdir "$MNT/$1"
	for ((i = 0; i < $2; i++)); do
		as_user sh -c 'echo "$1" >"$1" && truncate -s "$2" "$1"' sh "$MNT/$1/$i" "$3" || skip "cannot make a file of $3 here"
		echo "$MNT/$1/$i"
	done
}

# with VALUE: of too_large, from here on.
with() {
	local before
	before=$(state_records 'event=policy;')
	sed -i "s/^too_large = .*/too_large = $1/" "$CONF"
	kill -HUP "$DAEMON"
	reloaded() { [ "$(state_records 'event=policy;')" -gt "$before" ]; }
	wait_for 60 reloaded
}

# need_gaps FOLDER COUNT: so many of its files have a record that says that they were too large.
need_gaps() {
	local gaps=$1 count=$2
	all_there() { [ "$(state_texts | grep -c "event=too-large;path=$MNT/$gaps/[0-9]*;size=[0-9]*;")" = "$count" ]; }
	wait_for 60 all_there
}

large_files allowed 4 9M >"$SCRATCH/allowed"
large_files denied 4 9M >"$SCRATCH/denied"
large_files late 8 "$LATE_MIB"M >"$SCRATCH/late"
large_files fits 6 6M >"$SCRATCH/fits"
large_files huge 12 8T >"$SCRATCH/huge"
user 65533
make_files "$MNT/small" 200 >"$SCRATCH/small"
user
start_hang workers=2 max_file_size_mib=$LIMIT_MIB too_large=allow "deadline_ms=$FAR_DEADLINE_MS"

# ---- allow, deny -----------------------------------------------------------------------------------------------
asks read 4 "$SCRATCH/allowed-told" <"$SCRATCH/allowed"
need_quick "$SCRATCH/allowed-told" $SLACK_MS
need_allowed "$SCRATCH/allowed-told"
need_gaps allowed 4
with deny
asks read 4 "$SCRATCH/denied-told" <"$SCRATCH/denied"
need_quick "$SCRATCH/denied-told" $SLACK_MS
[ "$(grep -c '^1 ' "$SCRATCH/denied-told")" = 4 ] || fail "not refused: $(grep -v '^1 ' "$SCRATCH/denied-told" | head -n 1)"
need_gaps denied 4
asks read 4 "$SCRATCH/fits-told" <"$SCRATCH/fits"
need_allowed "$SCRATCH/fits-told"
for name in allowed denied; do
	need_measured "$MNT/$name/0" 0
done
for i in 0 1 2 3 4 5; do need_measured "$MNT/fits/$i" 1; done

# ---- one that grows while it is read ------------------------------------------------------------------------------
# Its opener is refused, too: the digest of a file that is small enough is under way when a writer lengthens it.
stop_assayd
wait "$WATCHER" || true
start_hang workers=2 max_file_size_mib=$GROWS_MIB too_large=deny "deadline_ms=$FAR_DEADLINE_MS"
as_user truncate -s "$GROWS_MIB"M "$MNT/grows"
background "${USER_RUNS[@]}" python3 -c '
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
print("opened", flush=True)
while not os.path.exists(sys.argv[2]): time.sleep(0.02)
os.ftruncate(fd, 9 << 30)
time.sleep(300)' "$MNT/grows" "$SCRATCH/grow" >"$SCRATCH/writer"
wait_for 60 grep -q opened "$SCRATCH/writer" # it waits for the digest, too
workers_begin
in_background read 1 "$SCRATCH/grows-told" <<<"$MNT/grows"
opener=$PID
wait_for 60 one_is_busy
signal_workers -STOP
touch "$SCRATCH/grow"
has_grown() { [ "$(stat -c %s "$MNT/grows")" -gt $((GROWS_MIB << 20)) ]; }
wait_for 60 has_grown
signal_workers -CONT
wait "$opener" || fail 'somebody waits for ever'
grep -q '^1 ' "$SCRATCH/grows-told" || fail "it was not refused: $(cat "$SCRATCH/grows-told")"
grown() { [ "$(state_records "event=too-large;path=$MNT/grows;size=9663676416;")" = 1 ]; }
wait_for 60 grown
stop_assayd
wait "$WATCHER" || true

# ---- measured late -----------------------------------------------------------------------------------------------
start_hang workers=2 max_file_size_mib=$LIMIT_MIB too_large=measure-late "deadline_ms=$FAR_DEADLINE_MS"
asks read 8 "$SCRATCH/late-told" <"$SCRATCH/late"
need_quick "$SCRATCH/late-told" $SLACK_MS
need_allowed "$SCRATCH/late-told"
need_gaps late 8
late_measured() {
	[ "$(entries | grep -c " $MNT/late/[0-9]*\$")" = 8 ]
}
wait_for 60 late_measured
for i in 0 1 2 3 4 5 6 7; do need_measured "$MNT/late/$i" 1; done

# ---- what never ends gives way -------------------------------------------------------------------------------------
asks read 12 "$SCRATCH/huge-told" <"$SCRATCH/huge"
need_quick "$SCRATCH/huge-told" $SLACK_MS
need_allowed "$SCRATCH/huge-told"
user 65533
large_files fits-beside 6 6M >"$SCRATCH/fits-beside"
asks read 4 "$SCRATCH/small-told" <"$SCRATCH/small"
need_quick "$SCRATCH/small-told" $SLACK_MS
need_allowed "$SCRATCH/small-told"
asks read 4 "$SCRATCH/fits-beside-told" <"$SCRATCH/fits-beside"
need_quick "$SCRATCH/fits-beside-told" $SLACK_MS
need_allowed "$SCRATCH/fits-beside-told"
user
# Cut to a length that can be measured, they are.
as_user xargs python3 -c 'import os, sys
for path in sys.argv[1:]: os.truncate(path, 4096)' <"$SCRATCH/huge"
wait_for 60 none_held
n=$(entries | grep -c " $MNT/huge/[0-9]*\$" || true)
[ "$n" = 12 ] || { tail -n 30 "$LOG"; fail "of 12 that were left for later $n were measured: $(status events)"; }
need_no_deadline
hang_end "$SCRATCH"/{allowed,fits,late,huge,small,fits-beside}-told
