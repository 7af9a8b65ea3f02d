#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Overlays that lie on what somebody else answers for are not watched, whichever of their mounts is seen first, and
# at once. What an ordinary user mounts makes no overlay of root's one of these: his FUSE filesystems, in
# namespaces of his own or without allow_other, cannot be a layer of it.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
[ -e /dev/fuse ] || skip 'there is no /dev/fuse'
need setpriv
no_chroot
daemon_test tpm
AS_USER=(setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urm)

echo 'measure func=FILE_CHECK mask=MAY_READ fsmagic=0x794c7630' >"$SCRATCH/overlays"
MNT=''
chmod 711 "$SCRATCH"
mkdir -m 777 "$SCRATCH/out" "$SCRATCH/private" "$SCRATCH/his"
cp "$SOURCE/tests/daemon/silent_fuse.py" "$SCRATCH/out"
WAITS='another process or machine may answer for one of its layers'

# records POINT [REASON]: of overlays there that are not watched.
records() {
	state_records "event=uncovered;type=overlay;point=.*$1;reason=${2:-}"
}

# served POINT UID: FUSE, whose kernel side lets in only that user.
served() {
	sed "s/user_id=0,group_id=0,allow_other/user_id=$2,group_id=0/" "$SCRATCH/out/silent_fuse.py" >"$SCRATCH/out/fuse-$2.py"
	background python3 "$SCRATCH/out/fuse-$2.py" "$1" none
	wait_for 20 grep -q " $1 fuse " /proc/self/mounts
	_mounts+=("$1")
}

# elsewhere NAME COMMAND [SERVER]: that, below a tmpfs, in a mount namespace of root's own; then SERVER, which ends with
# its process, or nothing.
elsewhere() {
	cat >"$SCRATCH/$1.sh" <<-EOF_SH
		mount -t tmpfs none '$SCRATCH/private' && cd '$SCRATCH/private' && mkdir one two over fuse roots || exit 1
		{
			$2
			: >'$SCRATCH/out/$1.ready'
		} &
		exec ${3:-sleep 1000}
	EOF_SH
	background unshare -m --propagation private bash "$SCRATCH/$1.sh"
	wait_for 20 test -e "$SCRATCH/out/$1.ready"
}

# ---- in our own namespace, the highest first --------------------------------------------------------------------
# A copy of a namespace lists mounts by their places: here /all/first/upper comes before /all/second.
all=$SCRATCH/all
mkdir "$all"
mount -t tmpfs none "$all"
_mounts+=("$all")
mkdir "$all"/{first,second,fuse,empty}
mount -t tmpfs none "$all/first"
mkdir "$all/first/upper"
served "$all/fuse" 0
mount -t overlay none "$all/second" -o "lowerdir=$all/empty:$all/fuse" || skip 'there is no overlay over FUSE here'
mount -t overlay none "$all/first/upper" -o "lowerdir=$all/second:$all/empty"
_mounts+=("$all/first" "$all/second" "$all/first/upper")
real=$ASSAYD
printf '#!/bin/sh\nexec unshare -m --propagation private "%s" "$@"\n' "$real" >"$SCRATCH/assayd"
chmod +x "$SCRATCH/assayd"
ASSAYD=$SCRATCH/assayd LIST=$SCRATCH/list-order
start_assayd "policy=$SCRATCH/overlays"
for point in first/upper second; do
	[ "$(records "$all/$point" "$WAITS")" = 1 ] || fail "$point: $(state_texts | grep overlay)"
	[ "$(records "$all/$point")" = 1 ] || fail "$point is taken for another at first: $(state_texts | grep overlay)"
done
stop_assayd
ASSAYD=$real
umount "$all/first/upper" "$all/second"
umount "$all/fuse"

# ---- users' FUSE, and root's overlay elsewhere --------------------------------------------------------------------
LIST=$SCRATCH/list-users
served "$all/fuse" 65534
start_assayd "policy=$SCRATCH/overlays"
if "${AS_USER[@]}" true 2>/dev/null; then
	background "${AS_USER[@]}" python3 "$SCRATCH/out/silent_fuse.py" "$SCRATCH/his" none
	his_seen() { status uncovered | grep -q "mnt:[^\"]*$SCRATCH/his"; }
	wait_for 20 his_seen
else
	echo 'users have no namespaces here'
fi
decided() { # POINT: on kernels where overlays are watched, or are not for what they raise
	log_says "watching mnt:.*$1" || [ "$(records "$1")" = 1 ]
}
elsewhere users 'mount -t overlay none over -o lowerdir=one:two'
wait_for 120 decided "$SCRATCH/private/over"
if status uncovered | grep -o '"point": "[^"]*", "type": "[a-z0-9]*", "reason": "another process or machine answers' | grep -v "$SCRATCH"; then
	echo 'others of this machine have such filesystems: not tried'
else
	[ "$(records "$SCRATCH/private/over" "$WAITS")" = 0 ] || fail "what a user mounts makes root's overlay one over FUSE"
fi

# ---- root's FUSE, and root's overlay elsewhere ----------------------------------------------------------------------
elsewhere roots 'until mountpoint -q fuse; do sleep 0.05; done
	mount -t overlay none roots -o lowerdir=fuse:one' "python3 '$SCRATCH/out/silent_fuse.py' fuse none"
wait_for 120 decided "$SCRATCH/private/roots"
[ "$(records "$SCRATCH/private/roots" "$WAITS")" = 1 ] || fail "root's FUSE does not count: $(state_texts | grep overlay)"
stop_assayd
