#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Lease, digest, mark: no mark outlives a change of the file, in 10,000 races on ext4 and 2,000 on each of
# tmpfs, overlay, xfs and btrfs.
# The same races without the lease show that the test can fail.
. "$TEST_LIB"
need_root
need unshare mkfs.ext4
in_mount_namespace "$@"

tries=${ASSAY_RACE_TRIES:-10000}

race() { # DIR MODE TRIES
	timeout -s KILL 150 "$FANOTIFY_RACE" "$1" "$3" "$2" 1
}

scratch_mount ext4
mkdir "$SCRATCH/tmpfs" "$SCRATCH/overlay" "$SCRATCH/layers"
mount -t tmpfs none "$SCRATCH/tmpfs"
_mounts+=("$SCRATCH/tmpfs")
mkdir "$SCRATCH/tmpfs/upper" "$SCRATCH/tmpfs/work"
folders=(ext4 tmpfs)
if mount -t overlay none "$SCRATCH/overlay" \
	-o "lowerdir=$SCRATCH/layers,upperdir=$SCRATCH/tmpfs/upper,workdir=$SCRATCH/tmpfs/work"; then
	_mounts+=("$SCRATCH/overlay")
	folders+=(overlay)
fi
for type in xfs btrfs; do
	command -v mkfs.$type >/dev/null || continue
	truncate -s 320M "$SCRATCH/$type.img"
	mkfs.$type -q "$SCRATCH/$type.img" >/dev/null
	mkdir "$SCRATCH/$type"
	mount -o loop "$SCRATCH/$type.img" "$SCRATCH/$type" || continue
	_mounts+=("$SCRATCH/$type")
	folders+=("$type")
done

for f in "${folders[@]}"; do
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
