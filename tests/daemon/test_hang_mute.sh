#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# While the list cannot be written, as its filesystem is frozen, an operator is told how assayd is, and it ends when it
# is asked to and the filesystem has been thawed.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
freeze_test
make_files "$MNT/files" 20 >"$SCRATCH/files"
start_hang
fsfreeze -f "$MNT"
asks read 20 "$SCRATCH/told" <"$SCRATCH/files"
need_quick "$SCRATCH/told" $((DEADLINE_MS + SLACK_MS))
need_allowed "$SCRATCH/told"
timeout $PATIENCE "$ASSAY" status --control "$CONTROL" >"$SCRATCH/status.out" || [ $? = 1 ] || mute=yes # 1: it says what is wrong
fsfreeze -u "$MNT" || fail 'it was thawed too early'
[ "${mute:-no}" = no ] || fail 'assay status says nothing while the list cannot be written'
hang_end "$SCRATCH/told"
