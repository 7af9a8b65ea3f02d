#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The medium of the list is full, and later has room again: openers go on as ever, what was not recorded meanwhile
# is counted in the list, and the list goes on and replays.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount tpm

mkdir "$SCRATCH/small"
mount -t tmpfs -o size=2M none "$SCRATCH/small" || skip 'cannot mount a tmpfs here'
_mounts+=("$SCRATCH/small")
LIST=$SCRATCH/small/list
# Long names fill the room that the list has made for itself, too.
long=$MNT/$(printf '%0200d' 0)/$(printf '%0200d' 0)
make_files "$long/one" 3000 >"$SCRATCH/one"
make_files "$long/two" 3000 >"$SCRATCH/two"
make_files "$long/three" 200 >"$SCRATCH/three"
start_hang
head -c 4M /dev/zero >"$SCRATCH/small/filler" 2>/dev/null || true
for n in one two; do
	asks read 8 "$SCRATCH/$n-told" <"$SCRATCH/$n"
	need_quick "$SCRATCH/$n-told" $((DEADLINE_MS + SLACK_MS))
	need_allowed "$SCRATCH/$n-told"
done
[ "$(status list.full)" = true ] || fail 'the list is not full'
lost=$(status list.lost_events)
echo "$lost events were lost"
rm "$SCRATCH/small/filler"
mount -o remount,size=64M "$SCRATCH/small"
asks read 8 "$SCRATCH/three-told" <"$SCRATCH/three"
need_quick "$SCRATCH/three-told" $((DEADLINE_MS + SLACK_MS))
need_allowed "$SCRATCH/three-told"
[ "$(status list.full)" = false ] || fail 'the list stays full'
wait_for 60 records_are 'event=list-full;' = 1 'that it was full is not in the list'
wait_for 60 records_are "event=list-resumed;lost=$lost;" = 1 'what was lost is not in the list'
hang_end "$SCRATCH"/{one,two,three}-told
