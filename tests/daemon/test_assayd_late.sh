#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What runs already from filesystems whose files have other device numbers than their mounts: overlays over several
# filesystems, subvolumes of btrfs. It is measured at the start, and when such a filesystem is found later.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
no_chroot
daemon_test
MNT=''
printf 'measure func=BPRM_CHECK fsmagic=%s\n' 0x794c7630 0x9123683e >"$SCRATCH/policy"
chmod 711 "$SCRATCH"
mkdir "$SCRATCH/there" "$SCRATCH/out"

# overlay FOLDER: at FOLDER/over, over two filesystems; a program is in the lower one.
cat >"$SCRATCH/overlay.sh" <<-'EOF'
	cd "$1" && mkdir low high over && mount -t tmpfs none low && mount -t tmpfs none high && mkdir high/upper high/work &&
		cp /bin/sleep low/runs && echo "$1" >>low/runs &&
		mount -t overlay none over -o lowerdir=low,upperdir=high/upper,workdir=high/work
EOF
# runs PATH: for a while.
runs() {
	setpriv --pdeathsig KILL "$1" 1000 &
	PID=$!
	_pids+=("$PID")
	DIGEST=$(sha256sum "$1" | cut -d ' ' -f 1)
}
is_measured() { # DIGEST
	entries >"$SCRATCH/entries"
	grep -q "sha256:$1 " "$SCRATCH/entries"
}

mkdir "$SCRATCH/here"
bash "$SCRATCH/overlay.sh" "$SCRATCH/here" || skip 'there are no overlays here'
_mounts+=("$SCRATCH/here/low" "$SCRATCH/here/high" "$SCRATCH/here/over")
[ "$(stat -c %d "$SCRATCH/here/over/runs")" != "$(stat -c %d "$SCRATCH/here/over")" ] || echo 'this overlay has one number only'
runs "$SCRATCH/here/over/runs"
digests=("$DIGEST")
if scratch_kind btrfs && command -v btrfs >/dev/null; then
	btrfs -q subvolume create "$SCRATCH/btrfs/sub" 2>/dev/null || btrfs subvolume create "$SCRATCH/btrfs/sub" >/dev/null
	cp /bin/sleep "$SCRATCH/btrfs/sub/runs"
	echo btrfs >>"$SCRATCH/btrfs/sub/runs"
	runs "$SCRATCH/btrfs/sub/runs"
	digests+=("$DIGEST")
else
	echo 'there is no btrfs here'
fi

# What is mounted nowhere any more cannot be looked at: it is counted.
mkdir "$SCRATCH/gone"
mount -t tmpfs none "$SCRATCH/gone"
cp /bin/sleep "$SCRATCH/gone/runs"
runs "$SCRATCH/gone/runs"
gone=$PID
runs_it() { [[ "$(readlink "/proc/$gone/exe")" = */gone/runs ]]; }
wait_for 20 runs_it
umount -l "$SCRATCH/gone"

start_assayd "policy=$SCRATCH/policy"
wait_for 60 grep -q "cannot open .*runs.* of process $gone: No such device" "$LOG"
for digest in "${digests[@]}"; do
	wait_for 60 is_measured "$digest"
done

cat >"$SCRATCH/there.sh" <<-EOF
	mount -t tmpfs none "$SCRATCH/there" && bash "$SCRATCH/overlay.sh" "$SCRATCH/there" || exit 1
	setpriv --pdeathsig KILL "$SCRATCH/there/over/runs" 1000 &
	sha256sum <"$SCRATCH/there/over/runs" >"$SCRATCH/out/there"
	wait
EOF
began=$SECONDS
background unshare -m --propagation private bash "$SCRATCH/there.sh"
wait_for 20 test -s "$SCRATCH/out/there"
# Whoever has a FUSE filesystem of root's on this machine has it taken for one of its layers.
measured_or_refused() {
	is_measured "$1" || [ "$(state_records "event=uncovered;type=overlay;point=.*$SCRATCH/there/over;reason=another process or machine may")" != 0 ]
}
digest=$(cut -d ' ' -f 1 "$SCRATCH/out/there")
wait_for 200 measured_or_refused "$digest"
is_measured "$digest" || status uncovered | grep -q 'machine answers for it' || fail 'it is refused, and nobody has what could be a layer of it'
is_measured "$digest" || echo 'others of this machine have filesystems that may be its layers: not tried'
echo "after $((SECONDS - began)) s"
stop_assayd
