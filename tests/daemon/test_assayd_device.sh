#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A TPM that is a device: reached from inside the sandbox, and reached again when it was gone, with a
# module of tpm2-tss that cannot be loaded there any more.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm

device=$SCRATCH/tpm-device
background "$SOURCE/tests/daemon/tpm_pty.py" "${TCTI#swtpm:path=}" "$device"
relay=$PID
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
tpm_is_back() { ! tpm_is_lost; }
wait_for 30 tpm_is_lost
kill -CONT "$SWTPM_PID"
wait "$opener" || fail 'an opener was refused'
wait_for 30 tpm_is_back
need_measured "$MNT/three" 1
[ "$(child_pid anchor)" = "$anchor" ] || fail 'the anchor is another process'
need_proved
stop_assayd
kill -KILL "$relay" # swtpm serves one at a time

# ---- over D-Bus -----------------------------------------------------------------------------------
# The resource manager, on a bus of its own, where it is installed.
if command -v tpm2-abrmd >/dev/null && command -v dbus-daemon >/dev/null; then
	LIST=$SCRATCH/list-tabrmd
	export DBUS_SESSION_BUS_ADDRESS=unix:path=$SCRATCH/bus
	background dbus-daemon --session --nofork --address="$DBUS_SESSION_BUS_ADDRESS" 2>/dev/null
	wait_for 10 test -S "$SCRATCH/bus"
	background tpm2-abrmd --allow-root --session --tcti="$TCTI" 2>"$SCRATCH/abrmd.log"
	manager=$PID
	has_name() { dbus-send --session --print-reply --dest=com.intel.tss2.Tabrmd /com/intel/tss2/Tabrmd/Tcti \
		org.freedesktop.DBus.Peer.Ping >/dev/null 2>&1; }
	wait_for 20 has_name
	start_assayd tcti=tabrmd:bus_type=session,bus_name=com.intel.tss2.Tabrmd tpm_timeout_ms=1000
	echo four >"$MNT/four"
	cat "$MNT/four" >/dev/null
	need_measured "$MNT/four" 1
	kill -STOP "$manager"
	echo five >"$MNT/five"
	background cat "$MNT/five" >/dev/null
	opener=$PID
	wait_for 30 tpm_is_lost
	kill -CONT "$manager"
	wait "$opener" || fail 'an opener was refused'
	wait_for 30 tpm_is_back
	need_measured "$MNT/five" 1
	need_proved
	stop_assayd
else
	echo 'without tpm2-abrmd'
fi

# ---- ways that it does not take -------------------------------------------------------------------
expect 2 timeout -s KILL $PATIENCE "$ASSAYD" --config "$CONF" --tcti 'cmd:cat'
expect_text "$ERR" "^assayd: --tcti: 'tcti' begins with one of: device tabrmd swtpm mssim; not 'cmd'"
