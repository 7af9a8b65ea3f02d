#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assayd's table of events is full of openers who wait for a slow TPM, and more come than it has room for. What is known
# stays open to all; an exempt process, which those in the table might be waiting for, is answered; the others are
# let go after a moment, as at the deadline, and the list says how many.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need prlimit
hang_test mount tpm

ROOM=128 # with 256 descriptors
printf '#!/bin/sh\nexec prlimit --nofile=256:256 -- "%s" "$@"\n' "$ASSAYD" >"$SCRATCH/few"
chmod 755 "$SCRATCH/few"
ASSAYD=$SCRATCH/few
delay_begin 0
make_files "$MNT/files" 600 >"$SCRATCH/files"
make_files "$MNT/exempt" 20 >"$SCRATCH/exempt"
make_files "$MNT/known" 1 >"$SCRATCH/known"
make_files "$MNT/after" 100 >"$SCRATCH/after"

# Opens what it is told to, and says how many milliseconds that took.
cat >"$SCRATCH/exempt.py" <<'EOP'
import sys, time
print('ready', flush=True)
for line in open(sys.argv[1]):
    began = time.monotonic()
    open(line.rstrip('\n')).close()
    print('ok %d %s' % ((time.monotonic() - began) * 1000, line.rstrip('\n')), flush=True)
EOP
mkfifo -m 666 "$SCRATCH/orders"
exec {orders}<>"$SCRATCH/orders"
background "${USER_RUNS[@]}" python3 "$SCRATCH/exempt.py" "$SCRATCH/orders" >"$SCRATCH/exempt-told"
exempt=$PID
wait_for 60 grep -q ready "$SCRATCH/exempt-told"
start_hang "deadline_ms=$FAR_DEADLINE_MS" tpm_timeout_ms=80000 "exempt_pid=$exempt"
asks read 1 "$SCRATCH/known-told" <"$SCRATCH/known"

many_let_go() {
	[ "$(status events.deadlines)" -ge 400 ]
}
is_full() {
	[ "$(status events.held)" = $ROOM ]
}
# Until it goes on, no extend ends.
began=$(date +%s%3N)
kill -STOP "$DELAY_PID"
in_background read 600 "$SCRATCH/told" <"$SCRATCH/files"
openers=$PID
wait_for 60 is_full
asks read 8 "$SCRATCH/known-again" 50 <"$SCRATCH/known"
[ "$(middle "$SCRATCH/known-again")" -lt 1900 ] || fail 'who opens what is known waits' # who is held back: two seconds
# What it opens is not kept to be measured: there is no room.
signal_workers -STOP
cat "$SCRATCH/exempt" >&$orders
exempt_done() {
	[ "$(wc -l <"$SCRATCH/exempt-told")" = 21 ]
}
wait_for 7 exempt_done
wait_for 60 many_let_go
is_full || fail "the table is not full, but has $(status events.held)"
signal_workers -CONT
kill -CONT "$DELAY_PID"
stopped_ms=$(($(date +%s%3N) - began))
sed -i 1d "$SCRATCH/exempt-told"
need_quick "$SCRATCH/exempt-told" $((2000 + SLACK_MS))
wait "$openers" || fail 'somebody waits for ever'
need_quick "$SCRATCH/told" $((stopped_ms + SLACK_MS))
need_allowed "$SCRATCH/told"
[ "$(status events.refused)" = 0 ] || fail "$(status events.refused) opens were refused"
[ "$(status events.overflows)" = 0 ] || fail 'the queue overflowed'
[ "$(status events.exempt)" -ge 20 ] || fail 'the exempt process was not exempt'
let_go=$(status events.deadlines)
recorded() {
	local n
	n=$(state_texts | sed -n 's/.*event=deadline;count=\([0-9]*\);why=full;$/\1/p' | awk '{ n += $1 } END { print n + 0 }')
	[ "$n" = "$let_go" ]
}
wait_for 60 recorded
wait_for 60 records_are 'event=exempt-unmeasured;' -gt 0 'what was not measured is not in the list'
echo "$let_go openers were let go, as there was no room for them"
asks read 8 "$SCRATCH/after-told" <"$SCRATCH/after"
need_quick "$SCRATCH/after-told" $SLACK_MS
need_allowed "$SCRATCH/after-told"
hang_end "$SCRATCH"/{told,known-told,after-told}
