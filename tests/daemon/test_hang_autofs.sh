#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Automounters that never answer: before the start, later, above and below what is watched, and in the midst of unmounting. Who
# goes there waits; assayd starts, watches what can be reached without them, and says what it does not watch.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need blkid
hang_test mount
grep -qw autofs /proc/filesystems || modprobe -q autofs4 || skip 'this kernel has no autofs'

# silent_automounter NAME KIND [IMAGE EXPIRE]: at $SCRATCH/NAME. Who waits for it can be killed, but umount might wait, too: so
# it goes first, and then the kernel answers in its place.
silent_automounter() {
	mkdir -p "$SCRATCH/$1"
	background python3 "$SOURCE/tests/daemon/silent_autofs.py" "$SCRATCH/$1" "${@:2}" >"$SCRATCH/$1.log"
	SERVERS+=("$PID")
	_mounts+=("$SCRATCH/$1")
	trap 'kill_servers || _cleanup; _cleanup' EXIT
	wait_for 60 grep -q mounted "$SCRATCH/$1.log"
}

uuid() {
	blkid -s UUID -o value "$SCRATCH/$1.img"
}

# not_watched NAME TYPE REASON: the status says so.
not_watched() {
	status uncovered | grep -q "\"point\": \"$SCRATCH/$1\", \"type\": \"$2\", \"reason\": \"$3\""
}

# opened PATH: somebody opens it, and is answered.
opened() {
	echo "$1" | asks read 1 "$SCRATCH/told"
	need_quick "$SCRATCH/told" $SLACK_MS
	need_allowed "$SCRATCH/told"
}

# answers: main does.
answers() {
	timeout "$PATIENCE" "$STATUS_OF" "$CONTROL" list.records >/dev/null || fail "main stands still: $(tail -n 3 "$LOG")"
}

# reload: the same policy anew; main opens all mount points again.
reload() {
	forced=$(grep -c 'is in force' "$LOG" || true)
	kill -HUP "$DAEMON"
	wait_for 10 more_forced
}
more_forced() {
	[ "$(grep -c 'is in force' "$LOG")" -gt "$forced" ]
}

# ---- before the start ---------------------------------------------------------------------------------------
silent_automounter alone direct
for name in way/behind under over later; do
	mkdir -p "$SCRATCH/way" "$SCRATCH/$name"
	truncate -s 16M "$SCRATCH/$name.img"
	mkfs.ext4 -q -F "$SCRATCH/$name.img"
done
mount -o loop "$SCRATCH/under.img" "$SCRATCH/under"
_mounts+=("$SCRATCH/under")
silent_automounter under direct
mv "$SCRATCH/way/behind.img" "$SCRATCH/behind.img"
mount -o loop "$SCRATCH/behind.img" "$SCRATCH/way/behind"
_mounts+=("$SCRATCH/way/behind")
silent_automounter way indirect
silent_automounter over direct "$SCRATCH/over.img" "$SCRATCH/expire"
_mounts+=("$SCRATCH/over") # both
{
	for image in mnt behind under over later; do
		echo "measure func=FILE_CHECK mask=^MAY_READ fsuuid=$(uuid $image)"
	done
	echo 'measure func=FILE_CHECK fsmagic=0x187'
} >"$SCRATCH/policy"
watched=$MNT
echo one | tee "$MNT/one" >"$SCRATCH/over/one"
chmod 755 "$SCRATCH/over"
MNT=''
start_hang "deadline_ms=$FAR_DEADLINE_MS"
for name in alone under way over; do
	[ $name = over ] || wait_for 10 not_watched $name autofs 'made by the kernel'
	! grep -q silent "$SCRATCH/$name.log" || fail "assayd asked the automounter of '$name'"
done
wait_for 10 not_watched under ext4 'another process answers for the way there'
wait_for 10 not_watched way/behind ext4 'another process answers for the way there'
[ "$(status watched)" = 2 ] || fail "$(status watched) filesystems are watched, not 2: $(cat "$LOG")"
opened "$watched/one"
opened "$SCRATCH/over/one"
need_measured "$watched/one" 1
need_measured "$SCRATCH/over/one" 1

# ---- later --------------------------------------------------------------------------------------------------
silent_automounter second direct
wait_for 10 not_watched second autofs 'made by the kernel'
mount -o loop "$SCRATCH/later.img" "$SCRATCH/later"
_mounts+=("$SCRATCH/later")
wait_for 10 status_is watched 3
touch "$SCRATCH/expire"
wait_for 10 grep -q silent "$SCRATCH/over.log"
background stat -f "$SCRATCH/over" # and nobody can kill it
waits=$PID
reload
answers
reload
answers
! has_ended "$waits" || fail 'nobody waits for the automounter'
wait_for 10 not_watched over ext4 'another process answers for the way there'
echo two >"$watched/two"
opened "$watched/two"
! grep -q silent "$SCRATCH"/{alone,under,way,second}.log || fail 'assayd asked an automounter'
hang_end "$SCRATCH/told"

# ---- only what is named is watched ----------------------------------------------------------------------------
sed "s|^list_dir.*|list_dir = $SCRATCH/list-named|; \$a mount = $SCRATCH/alone" "$CONF" >"$SCRATCH/named.conf"
expect 2 timeout "$PATIENCE" "$ASSAYD" --config "$SCRATCH/named.conf"
expect_text "$ERR" "cannot watch '$SCRATCH/alone': another process answers for the way there"
! grep -q silent "$SCRATCH/alone.log" || fail 'assayd asked the automounter that mount= names'
