#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assayd is upgraded while it still looks at what runs already, which a user makes last: whoever takes over looks at
# all of it, and at what is behind.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
[ -e /dev/fuse ] || skip 'there is no /dev/fuse'
hang_test mount
printf 'measure func=%s\n' BPRM_CHECK 'MMAP_CHECK mask=MAY_EXEC' >"$SCRATCH/policy"
N=40 # a tenth of a second each, and a walker

upgrade_begin
hold_execs $N
end_all() {
	local status=$?
	kill_servers || true
	kill_ours
	return $status
}
trap 'end_all || _cleanup; _cleanup' EXIT
run_behind 300

start_assayd "policy=$SCRATCH/policy"
guard "$DAEMON"
install_assayd "$INSTALLED"
before=$DAEMON
expect 0 timeout 100 "$ASSAY" upgrade --control "$CONTROL"
DAEMON=$(status handover.pid)
[ "$DAEMON" != "$before" ] || fail 'nobody took over'
! is_behind || echo 'the one before was quicker: this shows nothing'
kill_servers
wait_for 150 is_behind
kill -TERM "$DAEMON"
wait_for 60 has_ended "$DAEMON"
