#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user opens files of 8 TiB, which one call each has made and which nobody can digest in time. What others
# open meanwhile is small, and is answered as if he were not there.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount=1G tpm
quick_ms=$((8000 + 2000 * SLOW)) deadline_ms=$((10000 + 2000 * SLOW)) # all that time they are read

mkdir -m 777 "$MNT/huge"
for i in {1..8}; do
	huge_file "$MNT/huge/$i"
	echo "$MNT/huge/$i"
done >"$SCRATCH/huge"
user 65533
make_files "$MNT/small" 300 >"$SCRATCH/small"
make_files "$MNT/later" 50 >"$SCRATCH/later"
start_hang workers=2 "deadline_ms=$deadline_ms" max_file_size_mib=16777216

user
in_background read 8 "$SCRATCH/huge-told" <"$SCRATCH/huge"
huge=$PID
user 65533
wait_for 60 some_held 8
asks read 4 "$SCRATCH/small-told" <"$SCRATCH/small"
need_quick "$SCRATCH/small-told" $quick_ms
need_allowed "$SCRATCH/small-told"
wait "$huge" || fail 'somebody waits'
need_quick "$SCRATCH/huge-told" $((deadline_ms + SLACK_MS))
need_allowed "$SCRATCH/huge-told"
# Nothing is left of it: no worker reads what nobody waits for, if others want something.
asks read 4 "$SCRATCH/later-told" <"$SCRATCH/later"
need_quick "$SCRATCH/later-told" $quick_ms
need_allowed "$SCRATCH/later-told"
hang_end "$SCRATCH"/{huge,small,later}-told
