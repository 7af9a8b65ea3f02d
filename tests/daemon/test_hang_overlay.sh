#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An overlay whose lower layer a FUSE server answers for. To the kernel it is a filesystem of its own, but to
# open a file there is to wait for that server: it must not be assayd who waits.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need blkid
hang_test mount tpm

silent_server fuse open
mkdir "$SCRATCH/over"
mkdir "$SCRATCH/empty"
mount -t overlay none "$SCRATCH/over" -o "lowerdir=$SCRATCH/empty:$SCRATCH/fuse" ||
	skip 'this kernel has no overlay over FUSE'
_mounts+=("$SCRATCH/over")
make_files "$MNT/one" 200 >"$SCRATCH/one"
for match in "fsuuid=$(blkid -s UUID -o value "$SCRATCH/mnt.img")" fsmagic=0x794c7630; do
	echo "measure func=FILE_CHECK mask=^MAY_READ $match"
done >"$SCRATCH/policy"
MNT=''
start_hang "deadline_ms=$FAR_DEADLINE_MS"
touch "$SCRATCH/fuse.stall"
in_background read 20 "$SCRATCH/over-told" < <(for i in {1..20}; do echo "$SCRATCH/over/file"; done)
over=$PID
wait_for 60 grep -q silent "$SCRATCH/fuse.log"
asks read 8 "$SCRATCH/one-told" <"$SCRATCH/one"
need_quick "$SCRATCH/one-told" $SLACK_MS
need_allowed "$SCRATCH/one-told"
kill_servers
wait "$over" || fail 'somebody waits'
hang_end "$SCRATCH/one-told"
