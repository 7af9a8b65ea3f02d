#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user lets a small file grow while it waits in the line of the small ones, and another file keeps the worker for
# the long ones busy. Who opens a small file is not held up by it.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount=1G
JOBS=40 # more than one worker is given at a time
user
make_files "$MNT/many" $((JOBS + 1)) >"$SCRATCH/many"
user 65533
make_files "$MNT/few" 3 >"$SCRATCH/few"
start_hang workers=1 "deadline_ms=$FAR_DEADLINE_MS" max_file_size_mib=8 too_large=measure-late
wait_for 60 none_held
user
keep_busy
in_background read $JOBS "$SCRATCH/many-told" < <(head -n $JOBS "$SCRATCH/many")
crowd=$PID
wait_for 60 some_held $((JOBS + 1)) # and the huge one
in_background read 1 "$SCRATCH/grown-told" < <(tail -n 1 "$SCRATCH/many")
grown=$PID
wait_for 60 some_held $((JOBS + 2))
set_size "$(tail -n 1 "$SCRATCH/many")" $((64 << 20))
kill -CONT "$SPARE"
wait "$crowd" || fail 'somebody waits for ever'
user 65533
asks read 1 "$SCRATCH/few-told" <"$SCRATCH/few"
need_quick "$SCRATCH/few-told" $SLACK_MS
need_allowed "$SCRATCH/few-told"
need_no_deadline
user
set_size "$MNT/huge" 4096
wait "$grown" || fail 'the one that grew waits for ever'
hang_end "$SCRATCH"/{huge,many,few,grown}-told
