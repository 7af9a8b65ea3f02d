#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One file by several ways: bind mounts, subvolumes of btrfs, a container's root. Each way that it is opened gives the
# name that its opener knows, and none goes unseen.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
no_chroot
daemon_test tpm

printf '%s\n' 'measure func=FILE_CHECK mask=MAY_READ' 'measure func=BPRM_CHECK' >"$SCRATCH/everything"

# named TEXT PATH: the list has TEXT's digest under PATH.
named() {
	local digest
	digest=$(echo "$1" | sha256sum)
	entries >"$SCRATCH/entries"
	grep -q -F "sha256:${digest%% *} $2" "$SCRATCH/entries" ||
		fail "no '$2' with the content '$1': $(tail -n 5 "$SCRATCH/entries")"
}

# ---- bind mounts --------------------------------------------------------------------------------------------
scratch_kind ext4 || skip 'cannot mount a loop device here'
MNT=$SCRATCH/ext4 LIST=$SCRATCH/list-bind
mkdir "$MNT/dir" "$SCRATCH/bind"
for f in one two; do echo $f >"$MNT/dir/$f"; done
echo whole >"$MNT/file"
touch "$SCRATCH/bound-file"
mount --bind "$MNT/dir" "$SCRATCH/bind"
_mounts+=("$SCRATCH/bind")
mount --bind "$MNT/file" "$SCRATCH/bound-file"
_mounts+=("$SCRATCH/bound-file")
start_assayd "policy=$SCRATCH/everything"
cat "$SCRATCH/bind/one" "$MNT/dir/two" "$SCRATCH/bound-file" >/dev/null
named one "$SCRATCH/bind/one"
named two "$MNT/dir/two"
named whole "$SCRATCH/bound-file"
# A mount that is made read-only, or anew, later.
mount --bind "$MNT/dir" "$SCRATCH/bind"
mount -o remount,bind,ro "$SCRATCH/bind"
echo three >"$MNT/dir/three"
cat "$SCRATCH/bind/three" >/dev/null
named three "$SCRATCH/bind/three"
umount "$SCRATCH/bind"

# ---- a container's root -------------------------------------------------------------------------------------
# By chroot, and by pivot_root in a mount namespace of its own: the name is that in the container's namespace.
mkdir -p "$MNT/root/bin" "$MNT/root/old" "$MNT/root/proc"
printf '#include <fcntl.h>\n#include <unistd.h>\nint main(int n, char **v)\n{\n\tchar c;\n\treturn read(open(v[1], O_RDONLY), &c, 1) != 1;\n}\n' \
	>"$SCRATCH/reader.c"
cc -O1 -static -o "$MNT/root/bin/reader" "$SCRATCH/reader.c"
echo chrooted >"$MNT/root/chrooted"
echo pivoted >"$MNT/root/pivoted"
chroot "$MNT/root" /bin/reader /chrooted
named chrooted "$MNT/root/chrooted"
unshare -m --propagation private bash -c "
	mount --bind '$MNT/root' '$MNT/root' && cd '$MNT/root' && pivot_root . old &&
		exec /bin/reader /pivoted" || fail 'what runs in the container fails'
named pivoted /pivoted
stop_assayd

# ---- subvolumes ---------------------------------------------------------------------------------------------
if scratch_kind btrfs && command -v btrfs >/dev/null; then
	MNT=$SCRATCH/btrfs LIST=$SCRATCH/list-btrfs
	btrfs -q subvolume create "$MNT/sub" 2>/dev/null || btrfs subvolume create "$MNT/sub" >/dev/null
	btrfs subvolume create "$MNT/sub/nested" >/dev/null
	mkdir "$SCRATCH/subvolume"
	mount -o loop,subvol=sub "$SCRATCH/btrfs.img" "$SCRATCH/subvolume" 2>/dev/null ||
		mount -o subvol=sub "$(findmnt -n -o SOURCE "$MNT")" "$SCRATCH/subvolume"
	_mounts+=("$SCRATCH/subvolume")
	for f in top sub/below sub/nested/deep sub/other; do echo "btrfs $f" >"$MNT/$f"; done
	start_assayd "policy=$SCRATCH/everything"
	cat "$MNT/top" "$MNT/sub/below" "$SCRATCH/subvolume/other" "$SCRATCH/subvolume/nested/deep" >/dev/null
	named 'btrfs top' "$MNT/top"
	named 'btrfs sub/below' "$MNT/sub/below"
	named 'btrfs sub/other' "$SCRATCH/subvolume/other"
	named 'btrfs sub/nested/deep' "$SCRATCH/subvolume/nested/deep"
	# A snapshot that is made while we run is the same filesystem.
	btrfs subvolume snapshot "$MNT/sub" "$MNT/snapshot" >/dev/null
	echo 'in the snapshot' >"$MNT/snapshot/below"
	cat "$MNT/snapshot/below" >/dev/null
	named 'in the snapshot' "$MNT/snapshot/below"
	need_proved
	stop_assayd
else
	echo 'without btrfs'
fi
