#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What "assay upgrade" says: when who takes over ends before or after it has all, it is told at once; and one that
# comes while another is under way waits for that, and then has its own.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm
upgrade_begin
# falsely STEP [HOW]: what is installed goes so far.
falsely() {
	rm -f "$ASSAYD.reached" "$ASSAYD.ready"
	install_assayd "$SOURCE/tests/daemon/false_successor.py"
	echo "$*" >"$ASSAYD.step"
}

# ---- it ends ----------------------------------------------------------------------------------------------------
# By itself the command waits for two minutes.
start_assayd
for step in offer list events; do
	falsely $step
	expect 1 timeout 60 "$ASSAY" upgrade --control "$CONTROL"
	expect_text "$ERR" "process $DAEMON goes on: the new one ended"
done
for step in taken go; do
	falsely $step
	expect 2 timeout 60 "$ASSAY" upgrade --control "$CONTROL"
	expect_text "$ERR" "process $DAEMON.* (is gone|gone too)"
	[ "$(cat "$ASSAYD.reached")" = $step ] || fail "'$step' was not reached"
	wait_for 30 has_ended "$DAEMON"
	wait "$DAEMON" || true # it may have seen that, or not
	install_assayd "$INSTALLED"
	start_assayd
done

# ---- two at once ------------------------------------------------------------------------------------------------
falsely offer hang
background timeout 100 "$ASSAY" upgrade --control "$CONTROL" >"$SCRATCH/first" 2>&1
first=$PID
wait_for 30 test -e "$ASSAYD.reached"
[ "$(status handover.under_way)" = true ] || fail 'that one is under way is not said'
hung=$(status handover.successor)
install_assayd "$INSTALLED"
background timeout 100 "$ASSAY" upgrade --control "$CONTROL" >"$SCRATCH/second" 2>&1
second=$PID
python3 - "$CONTROL" <<'P' || fail 'a second one is begun while the first is under way'
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.send(json.dumps({'op': 'upgrade'}).encode())
reply = json.loads(s.recv(65536))
print(reply)
sys.exit(reply.get('code') != 16)
P
kill -KILL "$hung"
! wait "$first" || fail 'the first has not failed'
expect_text "$(cat "$SCRATCH/first")" "process $DAEMON goes on: the new one ended"
wait "$second" || fail "the second has failed: $(cat "$SCRATCH/second")"
expect_text "$(cat "$SCRATCH/second")" "has taken over from process $DAEMON"
wait_for 60 records_are 'event=takeover;' = 1 'nothing was handed over'
DAEMON=$(status handover.pid)
guard "$DAEMON"

# Two that both do, one after the other.
pids=()
for i in 1 2; do
	background timeout 100 "$ASSAY" upgrade --control "$CONTROL" >"$SCRATCH/upgrade.$i" 2>&1
	pids+=("$PID")
done
for i in 0 1; do
	wait "${pids[i]}" || fail "one of two fails: $(cat "$SCRATCH"/upgrade.*)"
done
wait_for 30 status_is handover.past 3
DAEMON=$(status handover.pid)
guard "$DAEMON"
kill -TERM "$DAEMON"
wait_for 30 has_ended "$DAEMON"
