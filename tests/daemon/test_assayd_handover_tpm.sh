#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An upgrade is undone because the TPM hangs, and it goes on hanging: the assayd of before stays, each opener has
# his deadline, and when the TPM is back all is as it was. Or it is asked to end meanwhile, and does.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm
upgrade_begin
DAEMON_SECONDS=200
delay_begin 0
echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"

start() {
	install_assayd "$INSTALLED"
	start_assayd "policy=$SCRATCH/policy" tpm_timeout_ms=2000 "$@"
	wait_for 30 status_is events.held 0
	install_assayd "$SOURCE/tests/daemon/false_successor.py"
	rm -f "$ASSAYD.ready"
	echo list >"$ASSAYD.step"
}
# hangs: the TPM does, once it has been asked. A file that no worker digests keeps assayd from going further.
hangs() {
	date +%N >"$MNT/first"
	workers | xargs kill -STOP
	background timeout 100 cat "$MNT/first" >/dev/null
	opener=$PID
	wait_for 10 status_is events.held 1
	background timeout 100 "$ASSAY" upgrade --control "$CONTROL" >"$SCRATCH/upgrade" 2>&1
	UPGRADE=$PID
	wait_for 30 test -e "$ASSAYD.ready"
	kill -STOP "$SWTPM_PID"
}
# opens NAME: who opens it gets his answer.
opens() {
	date +%N >"$MNT/$1"
	timeout 60 cat "$MNT/$1" >/dev/null || fail "who opens '$1' waits for a TPM that hangs"
}

# ---- it comes back ----------------------------------------------------------------------------------------------
n=0
for loss in hold release; do
	start deadline_ms=6000 on_tpm_loss=$loss
	hangs
	wait "$opener" || fail 'who was held back waits for a TPM that hangs'
	wait_for 90 log_says 'the anchor does not come back'
	began=${EPOCHREALTIME/./}
	opens "$loss"
	waited=$(((${EPOCHREALTIME/./} - began) / 1000))
	kill -0 "$DAEMON" || fail "the old one is gone: $(tail -n 5 "$LOG")"
	[ $loss = release ] || [ $waited -ge 5900 ] || fail "with hold somebody went on after $waited ms, before his deadline"
	kill -CONT "$SWTPM_PID"
	workers | xargs kill -CONT
	! wait "$UPGRADE" || fail 'it was handed over'
	expect_text "$(cat "$SCRATCH/upgrade")" "process $DAEMON goes on: "
	opens "after-$loss"
	need_measured "$MNT/after-$loss" 1
	told() {
		[ "$(state_texts | sed -n 's/.*event=deadline;count=\([0-9]*\);.*/\1/p' | awk '{ n += $1 } END { print n + 0 }')" -ge "$1" ]
	}
	n=$((n + 1))
	wait_for 20 told $((2 * n))
	wait_for 60 records_are 'event=handover_failed' = $n 'that it failed is not in the list'
	need_proved
	stop_assayd
done

# ---- after a reload ----------------------------------------------------------------------------------------------
# The deadline of those who are held back is the one in force, not that of the start.
start deadline_ms=100000 deadline_answer=allow
sed -i 's/^deadline_ms = .*/deadline_ms = 6000/; s/^deadline_answer = .*/deadline_answer = deny/' "$CONF"
expect 0 "$ASSAY" reload --control "$CONTROL"
date +%N >"$MNT/refused"
hangs
wait_for 90 log_says 'the anchor does not come back'
told=0
timeout 60 cat "$MNT/refused" >/dev/null 2>&1 || told=$?
[ $told = 1 ] || fail "with a deadline of 6 s and 'deny' in force somebody is told $told (0: he goes on, 124: he waits)"
kill -CONT "$SWTPM_PID"
workers | xargs kill -CONT
! wait "$opener" || fail 'who was held back goes on, as was configured before'
! wait "$UPGRADE" || fail 'it was handed over'
opens after-refused
audited_refused() {
	"$ASSAY" audit --control "$CONTROL" --json | grep '"op":"deadline"' >"$SCRATCH/audited"
	grep -q '"cause":"unnamed","res":0,' "$SCRATCH/audited" && ! grep -q '"res":1,' "$SCRATCH/audited"
}
wait_for 20 audited_refused
n=$((n + 1))
wait_for 60 records_are 'event=handover_failed' = $n 'that it failed is not in the list'
need_proved
stop_assayd

# ---- it does not ------------------------------------------------------------------------------------------------
start deadline_ms=3000 on_tpm_loss=hold
hangs
wait_for 90 log_says 'the anchor does not come back'
kill -TERM "$DAEMON"
timeout 60 tail --pid "$DAEMON" -f /dev/null || fail 'who is asked to end waits for a TPM that hangs'
wait "$DAEMON" || fail "it exits $?: $(tail -n 5 "$LOG")"
wait "$opener" || fail 'who was held back was not let go'
kill -CONT "$SWTPM_PID"
! wait "$UPGRADE" || fail 'it was handed over'
start
opens anew
need_measured "$MNT/anew" 1
need_proved
stop_assayd
