#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The end of the assayd that hands over: when the TPM hangs just then, those who would go on without it do, and the
# upgrade is undone; a signal is passed on, and who has handed over exits with 0.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm
upgrade_begin
delay_begin 0
echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"

begin() {
	install_assayd "$INSTALLED"
	start_assayd "policy=$SCRATCH/policy" "$@"
	wait_for 30 status_is events.held 0
}
upgrade_in_background() {
	background timeout 100 "$ASSAY" upgrade --control "$CONTROL" >"$SCRATCH/upgrade" 2>&1
	UPGRADE=$PID
}

# ---- the TPM hangs once it has been asked -----------------------------------------------------------------------
# A file that no worker digests keeps the old one from going further for two seconds.
begin deadline_ms=100000 on_tpm_loss=release
install_assayd "$SOURCE/tests/daemon/false_successor.py"
echo list >"$ASSAYD.step"
for name in x y z; do echo $name >"$MNT/$name"; done
workers | xargs kill -STOP
background cat "$MNT/x" >/dev/null
opener=$PID
wait_for 10 status_is events.held 1
upgrade_in_background
wait_for 30 test -e "$ASSAYD.ready"
kill -STOP "$SWTPM_PID"
timeout $PATIENCE cat "$MNT/y" >/dev/null || fail 'who opens waits for a TPM that hangs'
wait "$opener" || fail 'who was held back waits for a TPM that hangs'
kill -CONT "$SWTPM_PID"
workers | xargs kill -CONT
! wait "$UPGRADE" || fail 'it was handed over'
expect_text "$(cat "$SCRATCH/upgrade")" "process $DAEMON goes on: the TPM does not answer"
wait_for 60 records_are 'event=handover;' = 1 'the TPM was asked too late: that is no test'
timeout $PATIENCE cat "$MNT/z" >/dev/null || fail 'nobody answers after that'
need_measured "$MNT/z" 1
told() {
	[ "$(state_texts | sed -n 's/.*event=deadline;count=\([0-9]*\);.*/\1/p' | awk '{ n += $1 } END { print n + 0 }')" = 2 ]
}
wait_for 10 told
need_proved

# ---- a signal while it hands over ---------------------------------------------------------------------------------
# Whether it comes in time is chance on a busy machine: tried until it did.
handovers=1
handed() { [ "$(state_records 'event=handover;')" = $handovers ]; }
hand_over() {
	handovers=$((handovers + 1))
	install_assayd "$INSTALLED"
	echo 'delay 1000000' >"$DELAY_CONTROL"
	upgrade_in_background
	wait_for 30 handed
}
hand_over
until kill -TERM "$DAEMON" 2>/dev/null; do
	[ $handovers -lt 6 ] || fail 'it has always ended before the signal came'
	wait "$UPGRADE"
	echo 'delay 0' >"$DELAY_CONTROL"
	DAEMON=$(status handover.pid)
	kill "$DAEMON"
	wait_for 60 has_ended "$DAEMON"
	begin
	hand_over
done
wait "$DAEMON" || fail "who has handed over exits $?: $(grep -m 12 -A 12 ERROR "$LOG")"
kill "$UPGRADE" 2>/dev/null || true # the new one may have ended before it could say so
echo 'delay 0' >"$DELAY_CONTROL"
stopped() { state_texts | tail -n 1 | grep -q 'event=stop;why=asked;'; }
wait_for 30 stopped
[ "$(state_records 'event=takeover;')" = $((handovers - 1)) ] || fail 'it was not handed over'
