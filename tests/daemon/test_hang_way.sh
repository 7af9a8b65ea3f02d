#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mount points below FUSE filesystems whose servers never answer, so that whoever walks there waits, in state D; such a filesystem
# that mount= names; and an overlay whose first layer is one. Before the start, and later: main says that they are not watched,
# marks all others, answers, and does what it is asked to.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need blkid
hang_test mount

# an_ext4 IMAGE: at $SCRATCH/IMAGE.img, to be mounted.
an_ext4() {
	truncate -s 16M "$SCRATCH/$1.img"
	mkfs.ext4 -q -F "$SCRATCH/$1.img"
}
# mount_at IMAGE PLACE
mount_at() {
	mount -o loop "$SCRATCH/$1.img" "$SCRATCH/$2" || skip 'nothing can be mounted on FUSE here'
	_mounts+=("$SCRATCH/$2")
}
uuid() {
	blkid -s UUID -o value "$SCRATCH/$1.img"
}
# not_watched PLACE TYPE REASON: the status says so.
not_watched() {
	status uncovered | grep -q "\"point\": \"$SCRATCH/$1\", \"type\": \"$2\", \"reason\": \"$3\""
}
silent_way() {
	not_watched "$1" ext4 'another process or machine answers for the way there, and is silent'
}
# answers: main does.
answers() {
	timeout "$PATIENCE" "$STATUS_OF" "$CONTROL" list.records >/dev/null || fail "main stands still: $(tail -n 3 "$LOG")"
}
reload() {
	forced=$(grep -c 'is in force' "$LOG" || true)
	kill -HUP "$DAEMON"
	wait_for 10 more_forced
}
more_forced() {
	[ "$(grep -c 'is in force' "$LOG")" -gt "$forced" ]
}
# opened PATH: somebody opens it, and is answered.
opened() {
	echo "$1" | asks read 1 "$SCRATCH/told"
	need_quick "$SCRATCH/told" $SLACK_MS
	need_allowed "$SCRATCH/told"
}
# ushers: how many of assayd's there are.
ushers() {
	pgrep -f '^assayd: usher' -P "$(pgrep -P "$DAEMON" | head -n 1)" | wc -l
}

# ---- before the start: one server is silent, one answers ------------------------------------------------------
for image in dead dead2 alive later; do an_ext4 $image; done
silent_server fuse lookup
silent_server well lookup
silent_server layer opendir
mount_at dead fuse/d0
mount_at dead2 fuse/d1
mount_at alive well/d0
mkdir "$SCRATCH"/{empty,over,later}
if mount -t overlay none "$SCRATCH/over" -o "lowerdir=$SCRATCH/layer:$SCRATCH/empty"; then
	_mounts+=("$SCRATCH/over")
	overlay=1
fi
for image in mnt dead dead2 alive later; do
	echo "measure func=FILE_CHECK mask=^MAY_READ fsuuid=$(uuid $image)"
done >"$SCRATCH/policy"
echo 'measure func=FILE_CHECK mask=^MAY_READ fsmagic=0x794c7630' >>"$SCRATCH/policy" # overlays
watched=$MNT
MNT=''
chmod 755 "$SCRATCH/well/d0"
for path in "$watched/one" "$SCRATCH/well/d0/one"; do echo "$path" >"$path"; done
touch "$SCRATCH"/{fuse,layer}.stall
start_hang "deadline_ms=$FAR_DEADLINE_MS"
wait_for 10 silent_way fuse/d0
wait_for 10 silent_way fuse/d1
wait_for 10 grep -q silent "$SCRATCH/fuse.log" # somebody has walked there
[ -z "${overlay:-}" ] || wait_for 10 not_watched over overlay 'another process or machine may answer for one of its layers'
! grep -q silent "$SCRATCH/layer.log" || fail 'somebody has opened an overlay over FUSE'
wait_for 10 status_is watched 2
for path in "$watched/one" "$SCRATCH/well/d0/one"; do
	opened "$path"
	need_measured "$path" 1
done

# ---- while it runs ----------------------------------------------------------------------------------------------
mount_at later later
wait_for 10 status_is watched 3
touch "$SCRATCH/well.stall"
reload # all are opened anew
answers
wait_for 10 silent_way well/d0
reload
answers
[ "$(ushers)" -le 8 ] || fail "there are $(ushers) that wait"
echo two >"$watched/two"
opened "$watched/two"
need_measured "$watched/two" 1

# ---- the server is gone, and so is who waits for it -----------------------------------------------------------
[ "$(ushers)" -ge 1 ] || fail 'nobody waits for the server: it is not asked'
kill_servers
no_ushers() {
	[ "$(ushers)" = 0 ]
}
wait_for 20 no_ushers
hang_end "$SCRATCH/told"

# ---- only what is named is watched --------------------------------------------------------------------------------
silent_server named opendir
touch "$SCRATCH/named.stall"
sed "s|^list_dir.*|list_dir = $SCRATCH/list-named|; \$a mount = $SCRATCH/named" "$CONF" >"$SCRATCH/named.conf"
expect 2 timeout "$PATIENCE" "$ASSAYD" --config "$SCRATCH/named.conf"
expect_text "$ERR" "cannot watch '$SCRATCH/named': another process or machine answers for it"
! grep -q silent "$SCRATCH/named.log" || fail 'assayd asked the server that mount= names'

an_ext4 behind
silent_server third lookup
mount_at behind third/d0
touch "$SCRATCH/third.stall"
sed "s|^list_dir.*|list_dir = $SCRATCH/list-named|; \$a mount = $SCRATCH/third/d0" "$CONF" >"$SCRATCH/named.conf"
expect 2 timeout "$PATIENCE" "$ASSAYD" --config "$SCRATCH/named.conf"
expect_text "$ERR" "cannot watch '$SCRATCH/third/d0': another process or machine answers for the way there, and is silent"
