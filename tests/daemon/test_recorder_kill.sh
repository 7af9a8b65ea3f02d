#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SIGKILL at random points under load, over a real (software) TPM: each time list and PCRs agree, no
# entry that was acknowledged is lost, none is extended twice. $KILLS: how often (25).
# shellcheck source=tests/lib.sh
. "$TEST_LIB"
need swtpm

list=$SCRATCH/list acks=$SCRATCH/acks
kills=${KILLS:-25}
modes=(each group ordered)

lines() {
	wc -l <"$acks"
}

# more_than N: the driver has written lines since.
more_than() {
	[ "$(lines)" -gt "$1" ]
}

# drive ROUND: starts the driver; its pid is in $PID.
drive() {
	local before
	before=$(lines)
	background "$RECORDER_DRIVE" run "$list" "${modes[$1 % 3]}" "$acks" "$(($1 * 100000))" \
		2>>"$SCRATCH/log"
	wait_for 20 more_than "$before"
}

agree() {
	expect 0 "$RECORDER_DRIVE" check "$list" "$acks"
	expect_text "$OUT" "^$1 segments"
}

start_swtpm
mkdir -m 700 "$list"
: >"$acks"
for ((i = 0; i < kills; i++)); do
	drive "$i"
	sleep "0.0$((RANDOM % 80 + 10))"
	kill -KILL "$PID"
	wait "$PID" 2>/dev/null || true
done
# What the last one left is extended by a run that ends in order.
drive "$kills"
kill -TERM "$PID"
wait "$PID" || fail "the last run ends with $?"
agree 1
echo "$kills kills, $OUT"
