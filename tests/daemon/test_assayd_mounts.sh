#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which filesystems are watched: each kind, those that the policy can match, those that come later;
# what is not watched is said. And what ran before the start is measured as late.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
need_root
need unshare mkfs.ext4 python3 blkid
in_mount_namespace "$@"

uuid() {
	blkid -s UUID -o value "$SCRATCH/$1.img"
}

# format TYPE NAME: like scratch_mount, of another type; false if it cannot be had here.
format() {
	command -v "mkfs.$1" >/dev/null || return 1
	truncate -s 320M "$SCRATCH/$2.img"
	"mkfs.$1" -q "$SCRATCH/$2.img" >/dev/null
	mkdir "$SCRATCH/$2"
	mount -o loop "$SCRATCH/$2.img" "$SCRATCH/$2" || return 1
	_mounts+=("$SCRATCH/$2")
}

# reload: the same policy anew.
reload() {
	forced=$(grep -c 'is in force' "$LOG" || true)
	kill -HUP "$DAEMON"
	wait_for 10 more_forced
}

more_forced() {
	[ "$(grep -c 'is in force' "$LOG")" -gt "$forced" ]
}

# ---- each kind ------------------------------------------------------------------------------------------
printf '%s\n' 'measure func=FILE_CHECK mask=^MAY_READ' 'measure func=BPRM_CHECK mask=MAY_EXEC' \
	>"$SCRATCH/everything"
scratch_mount ext4
mkdir "$SCRATCH/tmpfs" "$SCRATCH/overlay" "$SCRATCH/lower"
mount -t tmpfs none "$SCRATCH/tmpfs"
_mounts+=("$SCRATCH/tmpfs")
mkdir "$SCRATCH/tmpfs/upper" "$SCRATCH/tmpfs/work"
kinds=(ext4 tmpfs)
if mount -t overlay none "$SCRATCH/overlay" \
	-o "lowerdir=$SCRATCH/lower,upperdir=$SCRATCH/tmpfs/upper,workdir=$SCRATCH/tmpfs/work"; then
	_mounts+=("$SCRATCH/overlay")
	kinds+=(overlay)
fi
for type in xfs btrfs; do
	format $type $type && kinds+=("$type")
done

start_swtpm
SWTPM_PID=$PID
for kind in "${kinds[@]}"; do
	MNT=$SCRATCH/$kind LIST=$SCRATCH/list-$kind
	mkdir -p "$MNT/dir"
	echo "$kind" >"$MNT/dir/file"
	cp /bin/true "$MNT/dir/prog"
	start_assayd "policy=$SCRATCH/everything" first_sight=eager
	"$MNT/dir/prog"
	cat "$MNT/dir/file" >/dev/null
	before=$(status events.read)
	"$MNT/dir/prog"
	cat "$MNT/dir/file" "$MNT/dir/file" >/dev/null
	[ "$(status events.read)" = "$before" ] || fail "$kind: what is known raises events"
	# Another policy: every file is asked for again, one that is open and deleted too.
	reload
	"$MNT/dir/prog"
	cat "$MNT/dir/file" >/dev/null
	[ "$(status events.read)" -gt "$before" ] || fail "$kind: what is known stays so under another policy"
	cat "$MNT/dir/file" "$MNT/dir/file" >/dev/null
	exec 8<"$MNT/dir/file"
	cp "$MNT/dir/file" "$MNT/dir/new"
	rm "$MNT/dir/file"
	before=$(status events.read)
	cat /proc/self/fd/8 >/dev/null
	[ "$(status events.read)" = "$before" ] || fail "$kind: what is known raises events after a reload"
	reload
	cat /proc/self/fd/8 >/dev/null
	[ "$(status events.read)" -gt "$before" ] || fail "$kind: a deleted file stays known"
	exec 8<&-
	mv "$MNT/dir/new" "$MNT/dir/file"
	flushed=$(grep -c 'all are removed' "$LOG" || true)
	[ "$kind" = overlay ] || [ "$flushed" = "${before_flushed:-0}" ] || fail "$kind: its marks are not reached one by one"
	before_flushed=$flushed
	echo changed >>"$MNT/dir/file"
	cat "$MNT/dir/file" >/dev/null
	need_measured "$MNT/dir/file" 2
	need_measured "$MNT/dir/prog" 1
	stop_assayd
	echo "$kind: watched"
done

# ---- by the policy, and later -------------------------------------------------------------------------------
# Rules by filesystem: of all mounts here only these are marked, also one that comes later.
scratch_mount first
scratch_mount other
scratch_mount later
umount "$SCRATCH/later"
{
	echo "measure func=FILE_CHECK mask=MAY_READ fsuuid=$(uuid first)"
	echo "measure func=FILE_CHECK mask=MAY_READ fsuuid=$(uuid later)"
	echo 'measure func=FILE_CHECK fsmagic=0x9fa0'
} >"$SCRATCH/by-uuid"
for f in first other; do echo $f >"$SCRATCH/$f/file"; done
MNT='' LIST=$SCRATCH/list-uuid
start_assayd "policy=$SCRATCH/by-uuid"
[ "$(status watched)" = 1 ] || fail "$(status watched) filesystems are watched, not 1: $(cat "$LOG")"
cat "$SCRATCH/first/file" "$SCRATCH/other/file" >/dev/null
need_measured "$SCRATCH/first/file" 1
need_measured "$SCRATCH/other/file" 0
expect_text "$(status uncovered)" '"type": "proc"'
[ "$(state_records 'event=uncovered;type=proc;')" = 1 ] || fail 'proc is not recorded as uncovered'
mount -o loop "$SCRATCH/later.img" "$SCRATCH/later"
two_watched() {
	[ "$(status watched)" = 2 ]
}
wait_for 10 two_watched
echo late >"$SCRATCH/later/file"
cat "$SCRATCH/later/file" >/dev/null
need_measured "$SCRATCH/later/file" 1
stop_assayd

# ---- what runs already ----------------------------------------------------------------------------------------
# A program and a library that are gone by name, and still run.
MNT=$SCRATCH/ext4 LIST=$SCRATCH/list-late
cp /bin/sleep "$MNT/runs"
libc=$(ldd /bin/sleep | awk '/libc\.so/ { print $3 }')
mkdir "$MNT/lib"
cp "$libc" "$MNT/lib/"
digests=$(sha256sum "$MNT/runs" "$MNT/lib/${libc##*/}" | cut -d ' ' -f 1)
LD_LIBRARY_PATH=$MNT/lib background "$MNT/runs" 60
wait_for 5 grep -q "$MNT/lib/" "/proc/$PID/maps"
rm "$MNT/runs" "$MNT/lib/${libc##*/}"
start_assayd
for d in $digests; do
	entries | grep -q "sha256:$d $MNT/" || fail "what runs already is not measured: $d"
done
[ "$(state_records 'event=late;processes=')" = 1 ] || fail 'the late scan is not recorded'
# Ourselves, before anything else.
[ "$(state_records 'event=self;kind=exe;path=')" = 1 ] || fail 'assayd itself is not recorded'
[ "$(state_records 'event=self;kind=mapped;path=.*libc')" -ge 1 ] || fail 'what assayd maps is not recorded'
[ "$(state_records 'event=self;kind=configuration;')" = 1 ] || fail 'the configuration is not recorded'
[ "$(state_records 'event=self;kind=policy;path=tcb;')" = 1 ] || fail 'the policy is not recorded'
stop_assayd
