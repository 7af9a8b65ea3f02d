#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user holds leases on hundreds of files and never lets go of one: nobody but who opens those under write
# leases is refused, and nobody waits for the 45 seconds that the kernel gives a lease's holder.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount tpm

make_files "$MNT/write-leased" 200 >"$SCRATCH/write-leased"
make_files "$MNT/read-leased" 200 >"$SCRATCH/read-leased"
make_files "$MNT/free" 300 >"$SCRATCH/free"
make_files "$MNT/more" 300 >"$SCRATCH/more"
cat >"$SCRATCH/lease.py" <<'EOP'
import fcntl, os, resource, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
held = []
for how, flags, paths in ((fcntl.F_WRLCK, os.O_RDWR, sys.argv[1]), (fcntl.F_RDLCK, os.O_RDONLY, sys.argv[2])):
    for path in open(paths):
        held.append(os.open(path.rstrip('\n'), flags))
        fcntl.fcntl(held[-1], fcntl.F_SETLEASE, how)
print('held', flush=True)
signal.pause()
EOP
background "${USER_RUNS[@]}" python3 "$SCRATCH/lease.py" "$SCRATCH/write-leased" "$SCRATCH/read-leased" >"$SCRATCH/held"
wait_for 60 grep -q held "$SCRATCH/held"
start_hang workers=2 "deadline_ms=$FAR_DEADLINE_MS"

# Who breaks a write lease and would wait for it, who would not, and others beside them, twice: the second
# time each lease is being broken, and its holder does not care.
for round in 1 2; do
	[ $round = 1 ] && free=$SCRATCH/free || free=$SCRATCH/more
	in_background read 20 "$SCRATCH/leased-$round" <"$SCRATCH/write-leased"
	one=$PID
	in_background nonblock 20 "$SCRATCH/leased-nonblock-$round" <"$SCRATCH/write-leased"
	two=$PID
	in_background read 20 "$SCRATCH/read-leased-$round" <"$SCRATCH/read-leased"
	three=$PID
	user 65533
	asks read 8 "$SCRATCH/free-$round" <"$free"
	user
	wait "$one" && wait "$two" && wait "$three" || fail 'somebody waits'
	for who in free-$round read-leased-$round; do
		need_quick "$SCRATCH/$who" $SLACK_MS
		need_allowed "$SCRATCH/$who"
	done
	for who in leased-$round leased-nonblock-$round; do
		need_quick "$SCRATCH/$who" $SLACK_MS
		! grep -v -q -E '^(ok|1) ' "$SCRATCH/$who" || fail "neither opened nor EPERM: $(grep -v -E '^(ok|1) ' "$SCRATCH/$who" | head -n 1)"
	done
done
refused=$(cat "$SCRATCH"/leased-* | grep -c '^1 ')
[ "$refused" -ge 400 ] || fail "only $refused opens of files under write leases were refused"
# The kernel tells of one only if nothing else was read with it.
told=$(status events.refused)
[ "$told" -le "$refused" ] && [ $((told * 50)) -ge $((refused * 49)) ] || fail "$refused opens were refused, status says $told"
need_no_deadline
hang_end "$SCRATCH"/{free,read-leased,leased,leased-nonblock}-[12]
