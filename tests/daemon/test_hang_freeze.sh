#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The filesystem that is watched and has the list is frozen while users wait in open(O_TRUNC): the freeze waits
# for them, they wait for assayd, and assayd's append waits for the freeze. The deadline undoes the knot. While
# it stays frozen nothing can be written down; what went by is in the list when it is thawed.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
freeze_test
delay_begin 0
make_files "$MNT/empty" 100 >"$SCRATCH/empty"
make_files "$MNT/read" 100 >"$SCRATCH/read"
make_files "$MNT/frozen" 100 >"$SCRATCH/frozen"
make_files "$MNT/after" 100 >"$SCRATCH/after"
start_hang deadline_answer=allow
echo "$MNT/read/0" | asks read 1 "$SCRATCH/known"

# The extends are slow, so that they wait when the freeze comes.
echo 'delay 1000000' >"$DELAY_CONTROL"
in_background truncate 20 "$SCRATCH/empty-told" <"$SCRATCH/empty"
empty=$PID
in_background read 20 "$SCRATCH/read-told" <"$SCRATCH/read"
readers=$PID
wait_for 60 some_held 20
background fsfreeze -f "$MNT"
freezer=$PID
echo 'delay 0' >"$DELAY_CONTROL"
wait "$readers" || fail 'a reader waits'
need_quick "$SCRATCH/read-told" $((DEADLINE_MS * 5 + SLACK_MS))
need_allowed "$SCRATCH/read-told"
wait "$freezer" || fail 'it could not be frozen'
# The truncaters that had not come so far wait for the thaw in the kernel, not for us. What is known is open to
# all, what is not is answered at the deadline.
asks read 1 "$SCRATCH/known-told" <<<"$MNT/read/0"
asks read 100 "$SCRATCH/frozen-told" <"$SCRATCH/frozen"
need_quick "$SCRATCH/frozen-told" $((DEADLINE_MS + SLACK_MS))
need_allowed "$SCRATCH/frozen-told"
fsfreeze -u "$MNT" || fail 'it was thawed too early'
wait "$empty" || fail 'a writer waits'
need_allowed "$SCRATCH/empty-told"
wait_for 60 none_held
asks read 20 "$SCRATCH/after-told" <"$SCRATCH/after"
need_quick "$SCRATCH/after-told" $SLACK_MS
need_allowed "$SCRATCH/after-told"
hang_end "$SCRATCH"/{empty,read,frozen,known,after}-told
