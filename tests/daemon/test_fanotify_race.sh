#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Lease, digest, mark: no mark outlives a change of the file, in 10,000 races on ext4 and 2,000 on each of
# tmpfs, overlay, xfs and btrfs.
# The same races without the lease show that the test can fail.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test

tries=${ASSAY_RACE_TRIES:-10000}

race() { # DIR MODE TRIES
	timeout -s KILL 150 "$FANOTIFY_RACE" "$1" "$3" "$2" 1
}

scratch_kinds
for f in "${KINDS[@]}"; do
	n=$tries
	[ "$f" = ext4 ] || n=$((tries / 5))
	expect 0 race "$SCRATCH/$f" lease "$n"
	echo "$f: $OUT"
	expect_text "$OUT" 'marked [1-9]'
	expect_text "$OUT" 'broken [1-9].* refused [1-9]'
done

# Without the lease the race is lost within these tries, or the test proves nothing.
expect 1 race "$SCRATCH/ext4" nolease "$tries"
echo "ext4 without the lease: $OUT"
