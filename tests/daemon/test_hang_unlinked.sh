#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file is removed and its opener killed while assayd has it, and its btrfs is frozen: to close the last descriptor
# is to give the space back, which waits for the thaw. Openers elsewhere do not.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need fsfreeze
hang_test mount tpm
scratch_kind btrfs || skip 'there is no btrfs here'
thaw_at_end "$SCRATCH/btrfs"
chmod 1777 "$FROZEN"

delay_begin 0
head -c 1000000 /dev/urandom >"$FROZEN/gone"
sync -f "$FROZEN"
make_files "$MNT/read" 50 >"$SCRATCH/read"
start_hang "mount=$FROZEN" deadline_answer=allow "deadline_ms=$FAR_DEADLINE_MS" tpm_timeout_ms=80000
kill -STOP "$DELAY_PID" # until it goes on, the file stays held
in_background read 1 "$SCRATCH/gone-told" <<<"$FROZEN/gone"
opener=$PID
wait_for 60 status_is events.held 1
rm "$FROZEN/gone"
kill -KILL "$opener"
wait "$opener" 2>/dev/null || true
fsfreeze -f "$FROZEN"
status_is events.held 1 || fail 'it was closed before the freeze: that is no test'
kill -CONT "$DELAY_PID"
wait_for 60 all_anchored
asks read 5 "$SCRATCH/read-told" <"$SCRATCH/read"
need_quick "$SCRATCH/read-told" $SLACK_MS
need_allowed "$SCRATCH/read-told"
status_is events.held 1 || fail 'the frozen file was closed: that is no test'
fsfreeze -u "$FROZEN"
wait_for 60 none_held
hang_end "$SCRATCH/read-told"
