#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assay doctor over filesystems of several types, one whose server does not answer, and as nobody. What it
# looks at stays as it is.
. "${TEST_LIB:?}"
. "$(dirname "$TEST_LIB")/lib/doctor.sh"
need_root
need setpriv mkfs.ext4 blkid
in_namespaces "$@"
chmod 755 "$SCRATCH"

printf '%s\n' "policy = $SCRATCH/policy" 'anchor = none' "list_dir = $SCRATCH/list" >"$SCRATCH/conf"

# policy TEXT: the one of what follows.
policy() {
	printf '%b' "$1" >"$SCRATCH/policy"
}

# fs NAME STATE [PYTHON]: what is said of the filesystem at $SCRATCH/NAME.
fs() {
	has filesystem "$2" "x['subject'] == '$SCRATCH/$1' and (${3:-True})"
}

# mounted TYPE: an image of that type at $SCRATCH/TYPE; false if that is not to be had here.
mounted() {
	command -v "mkfs.$1" >/dev/null || return 1
	truncate -s 320M "$SCRATCH/$1.img"
	"mkfs.$1" -q "$SCRATCH/$1.img" >/dev/null
	mkdir "$SCRATCH/$1"
	mount -o loop "$SCRATCH/$1.img" "$SCRATCH/$1" 2>/dev/null || return 1
	_mounts+=("$SCRATCH/$1")
}

# mount_tmpfs NAME [OPTION]...
mount_tmpfs() {
	mkdir -p "$SCRATCH/$1"
	mount -t tmpfs "${@:2}" none "$SCRATCH/$1"
	_mounts+=("$SCRATCH/$1")
}

# mount_overlay [OPTION]: at $SCRATCH/overlay; false if that cannot be done here.
mount_overlay() {
	mount -t overlay -o "lowerdir=$SCRATCH/lower,upperdir=$SCRATCH/upper/u,workdir=$SCRATCH/upper/w$1" none \
		"$SCRATCH/overlay" 2>/dev/null
}

# What must stay as it is.
look() {
	stat -c '%n %i %s %b %h %x %y %z' "$SCRATCH"/{ext4,tmpfs,readonly,upper,lower}
	stat -f -c '%n %d %f %a' "$SCRATCH/ext4" "$SCRATCH/tmpfs"
}

policy 'measure func=FILE_CHECK\nmeasure func=BPRM_CHECK\n'
scratch_mount ext4
mount_tmpfs tmpfs
mount_tmpfs covered
mount_tmpfs covered -o size=4k
mount_tmpfs readonly -o ro
mkdir "$SCRATCH"/{list,lower,overlay}
mount --bind "$SCRATCH/tmpfs" "$SCRATCH/list"
_mounts+=("$SCRATCH/list")
mount_tmpfs upper
mkdir "$SCRATCH"/upper/{u,w}
overlay=no
mount_overlay "" && overlay=yes && _mounts+=("$SCRATCH/overlay")

sync
look >"$SCRATCH/before"
doctor 0 --config "$SCRATCH/conf"
look >"$SCRATCH/after"
cmp -s "$SCRATCH/before" "$SCRATCH/after" || fail "changed: $(diff "$SCRATCH/before" "$SCRATCH/after")"
fs ext4 ok 'f["type"] == "ext4" and f["security_xattrs"] and f["file_handles"] and f["fanotify"] and f["watched"]'
fs ext4 ok 'f["permission_events"] is None and "not tried" in x["found"]'
fs ext4 ok "f['uuid'] == '$(blkid -o value -s UUID "$SCRATCH/ext4.img" | tr -d -)'"
fs tmpfs ok 'f["permission_events"] and f["ignore_marks"] and f["leases"] and f["mounts"] == 2'
fs readonly ok '"read-only" in x["found"] and f["permission_events"] is None'
fs covered warn '"mounted over" in x["found"] and not f["watched"]'
fs covered ok '"mounted over" not in x["found"]'
has list-folder warn # it is on a tmpfs
has made-filesystems ok
has_not rule-filesystem any
# Whether it is watched is the kernel's doing: it is not said that it is, nor what is measured twice.
[ $overlay = no ] || fs overlay note 'f["type"] == "overlay" and f["watched"] is None and "not watched" in x["means"]'
for type in btrfs xfs; do
	mounted $type || continue
	doctor 0 --config "$SCRATCH/conf"
	fs $type ok "f['type'] == '$type' and f['security_xattrs'] and f['fanotify']"
done

# Without file handles files cannot be reached one by one.
if [ $overlay = yes ]; then
	umount "$SCRATCH/overlay"
	if mount_overlay ,index=off,nfs_export=off; then
		doctor 0 --config "$SCRATCH/conf"
		fs overlay note 'f["file_handles"] or "nfs_export" in x["do"]'
	fi
fi

# Rules about filesystems.
uuid=$(blkid -o value -s UUID "$SCRATCH/ext4.img")
policy "measure func=FILE_CHECK fsuuid=$uuid\nmeasure func=FILE_CHECK fsname=tmpfs\n"
doctor 0 --config "$SCRATCH/conf"
has_not rule-filesystem any
fs readonly ok '"matches there" in x["found"]'
policy "measure func=FILE_CHECK fsuuid=$uuid\nmeasure func=FILE_CHECK fsuuid=${uuid//[0-8]/9}\nmeasure fsname=frob\n"
doctor 0 --config "$SCRATCH/conf"
has_not rule-filesystem warn 'f["line"] == 1'
has rule-filesystem warn 'f["line"] == 2'
has rule-filesystem warn 'f["line"] == 3'
fs ext4 ok '"matches there" in x["found"]'
fs tmpfs ok 'not f["wanted"] and "passes it over" in x["found"]'
policy 'measure func=FILE_CHECK fsname=tmpfs digest_type=verity template=ima-ngv2\n'
doctor 1 --config "$SCRATCH/conf"
has rule-verity bad
if [ -e /sys/fs/ext4/features/verity ]; then
	umount "$SCRATCH/ext4"
	tune2fs -O verity "$SCRATCH/ext4.img" >/dev/null
	mount -o loop "$SCRATCH/ext4.img" "$SCRATCH/ext4"
	policy "measure func=FILE_CHECK fsuuid=$uuid digest_type=verity template=ima-ngv2\n"
	doctor 0 --config "$SCRATCH/conf"
	fs ext4 ok 'f["fs_verity"]'
	has_not rule-verity any
fi

# A filesystem that is mounted elsewhere.
policy 'measure func=FILE_CHECK\n'
mkdir "$SCRATCH/elsewhere"
background unshare -m sh -c "mount -t ramfs none '$SCRATCH/elsewhere' && : >'$SCRATCH/elsewhere.ready' && exec sleep 300"
wait_for 20 test -e "$SCRATCH/elsewhere.ready"
doctor 0 --config "$SCRATCH/conf"
has other-namespaces note 'f["filesystems"] >= 1'
echo "mount = $SCRATCH/tmpfs" >>"$SCRATCH/conf"
doctor 0 --config "$SCRATCH/conf"
has other-namespaces warn
echo "mount = $SCRATCH/frob" >>"$SCRATCH/conf"
doctor 1 --config "$SCRATCH/conf"
has given-mount bad

# Nobody sees less, says so, and does not say that all is well.
sed -i '/^mount/d' "$SCRATCH/conf"
chmod 644 "$SCRATCH/conf" "$SCRATCH/policy"
cp "$ASSAY" "$SCRATCH/assay"
expect 2 setpriv --reuid 65534 --regid 65534 --clear-groups timeout $((2 * PATIENCE)) "$SCRATCH/assay" doctor \
	--config "$SCRATCH/conf" --control "$SCRATCH/none" --json
cp "$SCRATCH/stdout" "$SCRATCH/json"
has fanotify-permission unseen 'x["needed"] and "root" in x["do"]'
fs tmpfs ok 'f["security_xattrs"] and f["permission_events"] is None'
has other-namespaces unseen

# A server that does not answer: the doctor does, and who reads its output does not wait either.
[ -c /dev/fuse ] || skip "the rest needs /dev/fuse"
mkdir "$SCRATCH/fuse"
background python3 "$SOURCE/tests/daemon/stalling_fuse.py" "$SCRATCH/fuse" "$SCRATCH/stall"
wait_for 20 mountpoint -q "$SCRATCH/fuse"
_mounts+=("$SCRATCH/fuse")
doctor 0 --config "$SCRATCH/conf"
fs fuse warn '"it answers" in x["found"] and f["wanted"] and not f["watched"]'
policy 'measure func=FILE_CHECK fsname=fuse\n'
doctor 0 --config "$SCRATCH/conf"
has rule-filesystem warn
: >"$SCRATCH/stall"
start=$SECONDS
timeout $((2 * PATIENCE)) "$ASSAY" doctor --config "$SCRATCH/conf" --control "$SCRATCH/none" --json | cat >"$SCRATCH/json"
[ $((SECONDS - start)) -lt $PATIENCE ] || fail "it took $((SECONDS - start)) s"
fs fuse warn '"does not answer" in x["found"] and f["security_xattrs"] is None and f["leases"] is None'

# One that bears the name of assayd's view is it where only root may mount.
background python3 "$SOURCE/tests/daemon/stalling_fuse.py" "$SCRATCH/elsewhere" "$SCRATCH/stall-view" fuse.assay
wait_for 20 mountpoint -q "$SCRATCH/elsewhere"
_mounts+=("$SCRATCH/elsewhere")
mount -t tmpfs none /run
mkdir -p /run/assay/ima
mount --bind "$SCRATCH/elsewhere" /run/assay/ima
doctor 0 --config "$SCRATCH/conf"
fs elsewhere warn 'f["subtype"] == "assay" and f["mounts"] == 2'
umount "$SCRATCH/elsewhere"
doctor 0 --config "$SCRATCH/conf"
has filesystem ok 'x["subject"] == "/run/assay/ima" and f["subtype"] == "assay"'
umount /run/assay/ima
umount /run
