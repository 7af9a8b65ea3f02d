#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# "assay=off" and "assay=log" on the kernel's command line are obeyed, unless the configuration forbids it,
# and are in the list either way. The command line is one of ours, mounted over /proc/cmdline.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm

cat /proc/cmdline >"$SCRATCH/cmdline"
mount --bind "$SCRATCH/cmdline" /proc/cmdline || skip 'cannot mount over /proc/cmdline here'
_mounts+=(/proc/cmdline)

command_line() {
	echo "BOOT_IMAGE=/vmlinuz ro $* quiet" >"$SCRATCH/cmdline"
}

# need_record TEXT: some state record has it.
need_record() {
	state_texts | grep -q -F -- "$1" || fail "no record '$1' in: $(state_texts | tail -n 5)"
}

# A service manager that writes down what it is told.
start_manager() {
	cat >"$SCRATCH/manager.py" <<-'EOT'
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		while True:
		    text = s.recv(4096)
		    with open(sys.argv[2], 'ab') as f:
		        f.write(text + b'\n')
	EOT
	background python3 "$SCRATCH/manager.py" "$SCRATCH/notify" "$SCRATCH/told"
	wait_for 10 test -S "$SCRATCH/notify"
	export NOTIFY_SOCKET=$SCRATCH/notify
}

# with_stopped_tpm COMMAND...: its status, while the TPM does not answer.
with_stopped_tpm() {
	local status=0
	kill -STOP "$SWTPM_PID"
	"$@" >/dev/null 2>&1 || status=$?
	kill -CONT "$SWTPM_PID"
	return $status
}

# ---- off -------------------------------------------------------------------------------------------
start_assayd # writes the configuration
stop_assayd
command_line assay=off
start_manager
timeout 60 "$ASSAYD" --config "$CONF" >"$LOG" 2>&1 || fail "told to be off, it exits $?: $(cat "$LOG")"
unset NOTIFY_SOCKET
expect_text "$(cat "$LOG")" "'assay=off' on the kernel's command line: nothing is watched"
! grep -q watching "$LOG" || fail "it watches: $(cat "$LOG")"
wait_for 10 grep -q '^STATUS=Off' "$SCRATCH/told"
[ "$(head -n 1 "$SCRATCH/told")" = READY=1 ] || fail "the manager is told: $(cat "$SCRATCH/told")"
need_record 'event=cmdline;value=off;obeyed=1;'
state_texts | tail -n 1 | grep -q -F 'event=stop;why=cmdline;' || fail "the last record is $(state_texts | tail -n 1)"

# ---- log -------------------------------------------------------------------------------------------
command_line
echo a >"$MNT/a"
start_assayd deadline_ms=300 deadline_answer=deny
need_proved # what the run before wrote too
! with_stopped_tpm cat "$MNT/a" || fail 'nobody is denied at the deadline'
stop_assayd
start_assayd max_file_size_mib=1 too_large=deny
truncate -s 2M "$MNT/too-large"
! cat "$MNT/too-large" >/dev/null 2>&1 || fail 'what is too large is not refused'
stop_assayd
command_line assay=off assay=log
echo b >"$MNT/b"
truncate -s 2M "$MNT/large" "$MNT/larger"
start_assayd deadline_ms=300 deadline_answer=deny max_file_size_mib=1 too_large=deny
with_stopped_tpm cat "$MNT/b" || fail 'somebody is denied though the command line has assay=log'
need_record 'event=cmdline;value=log;obeyed=1;'
cat "$MNT/large" >/dev/null || fail 'what is too large is refused though the command line has assay=log'
reload_as() {
	sed -i "s/^too_large = .*/too_large = $1/" "$CONF"
	"$ASSAY" reload --control "$CONTROL"
}
reload_as measure-late
reload_as deny
cat "$MNT/larger" >/dev/null || fail 'a reload undoes assay=log'
stop_assayd

# ---- forbidden, unknown ----------------------------------------------------------------------------
command_line assay=off
start_assayd kernel_cmdline=ignore
expect_text "$(cat "$LOG")" "'assay=off' .* does not count, as the configuration says"
need_record 'event=cmdline;value=off;obeyed=0;'
echo c >"$MNT/c"
cat "$MNT/c" >/dev/null
need_measured "$MNT/c" 1
stop_assayd
command_line assay=of
start_assayd
expect_text "$(cat "$LOG")" "'assay=of' .* is not known"
need_record 'event=cmdline;value=of;obeyed=0;'
need_proved
stop_assayd

# ---- an anchor that is found out -------------------------------------------------------------------
command_line
before=$(state_records event=cmdline)
start_assayd anchor=auto
[ "$(status anchor.kind)" = tpm2 ] || fail "with a TCTI the anchor is $(status anchor.kind)"
need_record 'event=anchor;kind=tpm2;why=configured;'
wait_for 60 records_are event=cmdline = "$before" 'a record of a command line that says nothing'
stop_assayd
