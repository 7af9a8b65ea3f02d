#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A TPM that is a device: reached from inside the sandbox, and reached again when it was gone, with a
# module of tpm2-tss that cannot be loaded there any more.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm

device=$SCRATCH/tpm-device
background "$SOURCE/tests/daemon/tpm_pty.py" "${TCTI#swtpm:path=}" "$device"
wait_for 10 test -e "$device"
start_assayd "tcti=device:$(readlink "$device")" tpm_timeout_ms=1000
echo one >"$MNT/one"
cat "$MNT/one" >/dev/null
need_measured "$MNT/one" 1
need_proved
# What it opened is the device, and nothing beside it.
anchor=$(child_pid anchor)
find "/proc/$anchor/fd" -lname "$(readlink "$device")" | grep -q . || fail 'the device is not open'
# A TPM that does not answer: the connection is given up and made again.
kill -STOP "$SWTPM_PID"
echo three >"$MNT/three"
background cat "$MNT/three" >/dev/null
opener=$PID
tpm_is_lost() { [ "$(status anchor.tpm_lost)" = true ]; }
wait_for 30 tpm_is_lost
kill -CONT "$SWTPM_PID"
wait "$opener" || fail 'an opener was refused'
need_measured "$MNT/three" 1
[ "$(child_pid anchor)" = "$anchor" ] || fail 'the anchor is another process'
need_proved
stop_assayd

# ---- ways that it does not take -------------------------------------------------------------------
expect 2 timeout -s KILL 30 "$ASSAYD" --config "$CONF" --tcti 'cmd:cat'
expect_text "$ERR" "tcti 'cmd:cat': assayd reaches a TPM by device, tabrmd, swtpm or mssim"
