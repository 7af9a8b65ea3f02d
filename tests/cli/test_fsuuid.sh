#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The UUID of a filesystem, for fsuuid= rules: what a policy is asked with is what blkid says.
. "$TEST_LIB"
need_root
need mkfs.ext4 tune2fs
in_namespaces "$@"

UUID=12345678-9abc-def0-1234-56789abcdef0

# explained FOLDER UUID: what a policy gets to see of a file in it.
explained() {
	: >"$1/file"
	echo "measure func=FILE_CHECK fsuuid=$UUID" >"$SCRATCH/rule"
	expect 0 "$ASSAY" policy explain --func FILE_CHECK --mask MAY_READ --policy "$SCRATCH/rule" --json "$1/file"
	expect_text "$OUT" "^    \"fsuuid\": \"$2\",$"
}

# mounted FS MKFS...: or the reason why not.
mounted() {
	local fs=$1
	shift
	command -v "$1" >/dev/null || return 1
	truncate -s 400M "$SCRATCH/$fs.img"
	"$@" "$SCRATCH/$fs.img" >/dev/null 2>&1 || return 1
	mkdir "$SCRATCH/$fs"
	mount -o loop "$SCRATCH/$fs.img" "$SCRATCH/$fs" 2>/dev/null || return 1
	_mounts+=("$SCRATCH/$fs")
}

mounted ext4 mkfs.ext4 -q -F -U $UUID || skip "cannot mount a loop device here"
explained "$SCRATCH/ext4" $UUID
expect_text "$OUT" '"result": true'
seen="ext4"
if mounted xfs mkfs.xfs -q -m uuid=$UUID; then
	explained "$SCRATCH/xfs" $UUID
	seen="$seen xfs"
fi
if mounted btrfs mkfs.btrfs -q -U ${UUID/1234/4321}; then
	explained "$SCRATCH/btrfs" ${UUID/1234/4321}
	seen="$seen btrfs"
fi

# One that had none when it was mounted: the kernel goes on to say so.
if mounted late mkfs.ext4 -q -F -O ^metadata_csum -U clear; then
	explained "$SCRATCH/late" "not known"
	if tune2fs -U $UUID "$(findmnt -n -o SOURCE "$SCRATCH/late")" >/dev/null 2>&1; then
		explained "$SCRATCH/late" $UUID
		seen="$seen, late"
	fi
fi
echo "seen: $seen"
