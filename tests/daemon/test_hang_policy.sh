#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A policy whose path leads to a server that never answers, or to a FIFO: whoever asked for it is told, in time,
# the policy of before stays in force, and everything else goes on.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount
VIEW=$SCRATCH/run/ima
_mounts+=("$VIEW")
silent_server server open
touch "$SCRATCH/server.stall"
mkfifo "$SCRATCH/fifo"
cp "$SCRATCH/policy" "$SCRATCH/policy-file"
start_assayd "policy=$SCRATCH/policy-file" "view_dir=$SCRATCH/run"
reload() { "$ASSAY" reload --control "$CONTROL"; }

# refused COMMAND...: it says no, and in time.
refused() {
	local began=$SECONDS
	expect 1 timeout $PATIENCE "$@"
	[ $((SECONDS - began)) -le 40 ] || fail "it took $((SECONDS - began)) s: $*"
}

# ---- assay reload --------------------------------------------------------------------------------------------
for path in "$SCRATCH/fifo" "$SCRATCH/server/file"; do
	ln -sf "$path" "$SCRATCH/policy-file"
	refused "$ASSAY" reload --control "$CONTROL"
done
expect_text "$OUT$ERR" 'timed out'
ln -sf "$SCRATCH/policy" "$SCRATCH/policy-file"
expect 0 reload
echo one >"$MNT/one"
cat "$MNT/one" >/dev/null
need_measured "$MNT/one" 1

# ---- a path that is written into the view ----------------------------------------------------------------------
if [ "${VIEW_SERVE:-none}" != none ]; then
	is_served() { grep -q " $VIEW fuse.assay " /proc/mounts && cat "$VIEW/violations" >/dev/null; }
	wait_for 60 is_served
	refused bash -c "echo $SCRATCH/fifo >$VIEW/policy"
	refused bash -c "echo $VIEW/policy >$VIEW/policy"
	expect 0 timeout $PATIENCE bash -c "echo $SCRATCH//run//ima/policy >$VIEW/policy" # what is in force is in force again
	refused bash -c "echo $SCRATCH/server/file >$VIEW/policy"
	expect_text "$ERR" 'timed out'
	refused bash -c "echo $SCRATCH/policy >$VIEW/policy" # who names such a path is not read for at once
	expect_text "$ERR" 'busy'
	expect 0 reload
	expect 0 bash -c "cat $SCRATCH/policy >$VIEW/policy"
	# Each load is a record: not as many as somebody likes.
	began=$SECONDS
	for _ in {1..20}; do cat "$SCRATCH/policy" >"$VIEW/policy" || break; done 2>"$SCRATCH/loads"
	# Who is slow is not too fast.
	[ $((SECONDS - began)) -ge 3 ] || expect_text "$(<"$SCRATCH/loads")" 'busy'
fi

# ---- the process with the list hangs -----------------------------------------------------------------------------
anchor=$(child_pid anchor)
halt "$anchor"
refused "$ASSAY" reload --control "$CONTROL"
kill -CONT "$anchor"
expect_text "$OUT$ERR" 'does not answer'
expect 0 reload
wait_for 60 status_is health.troubles '[]'
stop_assayd
