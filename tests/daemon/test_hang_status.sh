#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user's openers are killed while assayd looks at who they are: the kernel holds their memory meanwhile, so that who looks
# frees it, and waits for the user's FUSE server, which does not write back what is mapped; he cannot be killed. The rules
# ask for the user, who has as many groups as there can be. Others are answered in time, and who is not seen is measured.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
COUNT=$((SLOW > 1 ? 10 : 40))
: "${DAEMON_SECONDS:=280}" "${ASK_SECONDS:=150}"
user
hang_test mount=256M
printf '%s\n' 'dont_measure func=FILE_CHECK mask=^MAY_READ uid=65531' \
	'measure func=FILE_CHECK mask=^MAY_READ uid=65534' 'measure func=FILE_CHECK mask=^MAY_READ uid=65533' >"$SCRATCH/policy"
cp "$SOURCE"/tests/daemon/killed_openers.py "$SCRATCH"
make_files "$MNT/victims" "$COUNT" >/dev/null
make_files "$MNT/others" 100 >"$SCRATCH/others"
make_files "$MNT/others-then" 100 >"$SCRATCH/others-then"
silent_server fuse each-write
touch "$SCRATCH/fuse.stall"
start_hang
background python3 "$SCRATCH/killed_openers.py" "$SCRATCH/fuse" "$MNT/victims" "$COUNT" >"$SCRATCH/killed"
KILLER=$PID
wait_for 60 grep -q killed "$SCRATCH/killed"
user 65533
asks read 2 "$SCRATCH/others-told" <"$SCRATCH/others"
wait "$KILLER" || fail "the user's processes could not run: $(cat "$SCRATCH/killed")"
asks read 2 "$SCRATCH/then-told" <"$SCRATCH/others-then"
need_quick "$SCRATCH/others-told" 20000
need_quick "$SCRATCH/then-told" 20000
need_allowed "$SCRATCH/others-told"
need_allowed "$SCRATCH/then-told"
in_d() { grep -l 'State:.D' "/proc/$DAEMON"/task/*/status 2>/dev/null; }
! in_d || fail "assayd's own thread waits for a user's server"
echo "$(status events.unanswered) were not answered, $(status processes | grep -o '"role": "peek"' | wc -l) look"
kill_servers
two_look() { [ "$(status processes | grep -o '"role": "peek", "pid": [0-9]*, "state": "runs"' | wc -l)" = 2 ]; }
wait_for 60 two_look
hang_end "$SCRATCH/others-told" "$SCRATCH/then-told"
