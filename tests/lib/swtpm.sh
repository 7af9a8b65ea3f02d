# SPDX-License-Identifier: LGPL-2.1-or-later
# What tests over a TPM share beyond start_swtpm; sourced after tests/lib.sh:
# . "$(dirname "$TEST_LIB")/lib/swtpm.sh". Needs $TPM_DELAY for the slow and the faulty one.
# shellcheck shell=bash

# swtpm_reset [clear|state]: the power goes and comes back over the same state, and the firmware starts the
# TPM anew (TPM Reset or, after a TPM2_Shutdown(STATE), Restart) or, with "state", resumes it.
swtpm_reset() {
	local dir=${TCTI#swtpm:path=}
	dir=${dir%/sock}
	kill -KILL "$SWTPM_PID"
	wait "$SWTPM_PID" 2>/dev/null || true
	rm -f "$dir/sock" "$dir/sock.ctrl"
	background swtpm socket --tpm2 --tpmstate "dir=$dir" --flags "not-need-init,startup-${1:-clear}" \
		--server "type=unixio,path=$dir/sock" --ctrl "type=unixio,path=$dir/sock.ctrl"
	SWTPM_PID=$PID
	wait_for 10 test -S "$dir/sock.ctrl"
}

# swtpm_begin [NAME]: start_swtpm, and its pid in $SWTPM_PID.
swtpm_begin() {
	start_swtpm "$@"
	SWTPM_PID=$PID
	wait_for 10 test -S "${TCTI#swtpm:path=}.ctrl"
}

# delay_begin US: from here on $TCTI is a TPM whose extends take US microseconds; the one behind is
# $TCTI_BEHIND. What goes through is in $DELAY_LOG; "echo 'drop 1' >$DELAY_CONTROL": tpm_delay.c.
delay_begin() {
	local behind=${TCTI#swtpm:path=} front=$SCRATCH/delay
	TCTI_BEHIND=$TCTI DELAY_CONTROL=$front.control DELAY_LOG=$front.log
	background "$TPM_DELAY" --extend-us "$1" --control "$DELAY_CONTROL" --log "$DELAY_LOG" \
		"$front" "$behind"
	DELAY_PID=$PID
	ln -sf "$behind.ctrl" "$front.ctrl"
	wait_for 10 test -S "$front"
	export TCTI=swtpm:path=$front
}
