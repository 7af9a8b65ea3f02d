#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user's processes whose exec waits for a FUSE server: whoever reads their memory maps in /proc waits, too. assayd
# starts all the same, says that it has not seen what they run, and measures what is behind them.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
[ -e /dev/fuse ] || skip 'there is no /dev/fuse'
hang_test mount
printf 'measure func=%s\n' BPRM_CHECK 'MMAP_CHECK mask=MAY_EXEC' >"$SCRATCH/policy"
N=8 # more than are waited for at the start

hold_execs $N
keeps() {
	local status=0
	timeout -s KILL 2 cat "/proc/$1/maps" >/dev/null 2>&1 || status=$?
	[ $status = 137 ]
}
keep_all() {
	local p asked=()
	for p in "${HOLDERS[@]}"; do
		keeps "$p" &
		asked+=("$!")
	done
	for p in "${asked[@]}"; do wait "$p" || return 1; done
}
wait_for 60 keep_all
run_behind 120

began=$SECONDS
start_assayd "policy=$SCRATCH/policy"
took=$((SECONDS - began))
echo "up after $took s, beside $N processes that nobody can look at"
[ $took -le 60 ] || fail "the start took $took s"
wait_for 60 records_are 'event=late;processes=.*;unreadable=[1-9]' = 1 'the scan is not recorded, with those that were left out'
log_says "cannot open '/proc/${HOLDERS[0]}/maps' of process ${HOLDERS[0]}: " || fail 'the log does not name the process'
wait_for 90 is_behind
unmeasured() {
	status not_protected | grep -qE '"late_unmeasured", "reason": "[1-9][0-9]* '
}
wait_for 90 unmeasured

# It ends when it is asked to, and the next one starts when they are gone, and looks at all.
stop_assayd
wait_for 60 records_are 'event=late-unmeasured;count=' -ge 1 'what was never measured is not recorded'
kill_servers
for p in "${HOLDERS[@]}"; do wait_for 60 cat "/proc/$p/maps" >/dev/null; done
start_assayd "policy=$SCRATCH/policy" "list_dir=$SCRATCH/after"
LIST=$SCRATCH/after
wait_for 60 is_behind
! grep -q 'Connection timed out' < <(tail -n +"$LOG_FROM" "$LOG" | grep -E "process ($(IFS='|' && echo "${HOLDERS[*]}")):") ||
	fail 'one of them is left out though it answers'
stop_assayd
