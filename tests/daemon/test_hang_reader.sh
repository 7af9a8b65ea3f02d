#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The reader stands still: an overlay whose layer is behind a symbolic link, so that nobody sees that a FUSE server answers for
# it, and to read the event of a file there is to wait for that server, in state D. The status says it, the service manager is
# told nothing more, and assayd lets all go who do not wait for the server themselves, though the kernel keeps its group.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test

silent_server fuse open
mkdir "$SCRATCH"/{mnt,local}
mount -t tmpfs none "$SCRATCH/local"
_mounts+=("$SCRATCH/local")
mkdir "$SCRATCH"/local/{upper,work}
ln -s "$SCRATCH/fuse" "$SCRATCH/link"
mount -t overlay none "$SCRATCH/mnt" -o "lowerdir=$SCRATCH/link,upperdir=$SCRATCH/local/upper,workdir=$SCRATCH/local/work" ||
	skip 'this kernel has no overlay over FUSE'
_mounts+=("$SCRATCH/mnt")
MNT=$SCRATCH/mnt
for name in one two three; do echo $name >"$SCRATCH/local/upper/$name"; done
stat "$MNT"/{file,f{1..4}} >/dev/null # the kernel knows them from now on

# what the service manager is told
background python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode().replace("\n", " "), flush=True)' "$SCRATCH/notify" >"$SCRATCH/told-manager"
wait_for 10 test -S "$SCRATCH/notify"
export NOTIFY_SOCKET=$SCRATCH/notify
beats() {
	grep -c '^WATCHDOG=1' "$SCRATCH/told-manager" || true
}
is_stuck() {
	status health.troubles | grep -q reader_stuck
}
beats_beyond() {
	[ "$(beats)" -gt "$1" ]
}

start_hang "deadline_ms=$FAR_DEADLINE_MS"
unset NOTIFY_SOCKET
asks read 1 "$SCRATCH/one-told" <<<"$MNT/one"
need_allowed "$SCRATCH/one-told"
need_measured "$MNT/one" 1
wait_for 10 beats_beyond "$(($(beats) + 2))"

touch "$SCRATCH/fuse.stall"
stuck=()
for name in file f1 f2 f3 f4; do # each keeps whoever reads its event
	in_background read 1 "$SCRATCH/$name-told" <<<"$MNT/$name"
	stuck+=("$PID")
done
wait_for 60 grep -q silent "$SCRATCH/fuse.log"
in_background read 2 "$SCRATCH/behind-told" < <(printf '%s\n' "$MNT"/{two,three})
behind=$PID
wait_for 30 is_stuck
was=$(beats)
wait_for 60 has_ended "$behind"
wait "$behind" || fail 'somebody waits'
need_allowed "$SCRATCH/behind-told"
[ "$(wc -l <"$SCRATCH/behind-told")" = 2 ] || fail 'not both were answered'
[ "$(beats)" = "$was" ] || fail 'the service manager was told that assayd lives'
wait_for 60 has_ended "$DAEMON" # a thread of it may still stand
log_says 'what reads events stands still: whoever waited was let go'
asks read 1 "$SCRATCH/one-told" <<<"$MNT/one" # nobody is asked any more
need_quick "$SCRATCH/one-told" $SLACK_MS
waits=0
for pid in "${stuck[@]}"; do
	has_ended "$pid" || waits=$((waits + 1))
done
[ $waits -gt 0 ] || fail 'nobody waits for the server: the reader was not in state D'
kill_servers
for pid in "${stuck[@]}"; do wait "$pid" || true; done
status=0
wait "$DAEMON" || status=$?
[ "$status" = 1 ] || fail "assayd exits $status"
DAEMON=''
