#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Lease, digest, mark: no mark outlives a change of the file, in 10,000 races on ext4 and 2,000 on each of
# tmpfs, overlay, xfs and btrfs.
# The same races without the lease show that the test can fail.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test

tries=${ASSAY_RACE_TRIES:-10000}

race() { # DIR MODE TRIES SEED
	timeout -s KILL 250 "$FANOTIFY_RACE" "$1" "$3" "$2" "$4"
}

# Who meets whom is chance, and on a busy machine it is rare: again, until each has happened.
scratch_kinds
for f in "${KINDS[@]}"; do
	n=$tries happened=''
	[ "$f" = ext4 ] || n=$((tries / 5))
	for seed in 1 2 3 4 5 6 7 8; do
		expect 0 race "$SCRATCH/$f" lease "$n" $seed
		echo "$f: $OUT"
		happened+=$OUT
		[[ ! $happened =~ marked\ [1-9] || ! $happened =~ broken\ [1-9] || ! $happened =~ refused\ [1-9] ]] || continue 2
	done
	fail "$f: not each happens"
done

# Without the lease the race is lost, or the test proves nothing.
for seed in 1 2 3 4 5 6 7 8; do
	status=0
	OUT=$(race "$SCRATCH/ext4" nolease "$tries" $seed) || status=$?
	echo "ext4 without the lease: $OUT"
	[ $status = 0 ] || break
done
[ $status = 1 ] || fail "without the lease it exits $status"
