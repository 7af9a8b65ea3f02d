#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A hand-over while the view is there: the new one's is in the place of the old one's, shows the same list and what is
# measured from then on, takes policies, and what its process is made of is in the list. An upgrade that is undone
# leaves the view as it was.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm
[ "${VIEW_SERVE:-none}" != none ] || skip "it is built without the view"
{ : <>/dev/fuse; } 2>/dev/null || skip "this kernel has no FUSE"
upgrade_begin
VIEW=$SCRATCH/run/ima
_mounts+=("$VIEW")
mounts() {
	grep -c " $VIEW fuse.assay " /proc/mounts || true
}
is_served() {
	[ "$(mounts)" = 1 ] && cat "$VIEW/violations" >/dev/null 2>&1
}
has_name() {
	grep -q " $1\$" "$VIEW/ascii_runtime_measurements"
}
# shows_all: nothing is measured meanwhile.
shows_all() {
	[ "$(cat "$VIEW/runtime_measurements_count")" = "$(status list.records)" ]
}
in_force() {
	[ "$(cat "$VIEW/policy")" = "$1" ]
}

echo 'measure func=FILE_CHECK mask=MAY_READ' >"$SCRATCH/policy"
echo 'measure func=BPRM_CHECK mask=MAY_EXEC' >"$SCRATCH/other"
start_assayd "policy=$SCRATCH/policy" "view_dir=$SCRATCH/run"
wait_for 20 is_served
echo before >"$MNT/before"
cat "$MNT/before" >/dev/null

for i in 1 2; do
	before=$DAEMON
	exec 8<"$VIEW/ascii_runtime_measurements" # who holds one of its files holds up nobody
	expect 0 timeout 100 "$ASSAY" upgrade --control "$CONTROL"
	exec 8<&-
	DAEMON=$(status handover.pid)
	guard "$DAEMON"
	wait_for 60 has_ended "$before"
	wait_for 60 is_served
	has_name "$MNT/before" || fail 'what the one before has measured is not in the view'
	echo after >"$MNT/after-$i"
	timeout 60 cat "$MNT/after-$i" >/dev/null
	wait_for 20 has_name "$MNT/after-$i"
	wait_for 20 shows_all
	state_texts | sed -n '/event=takeover;/,$p' | grep -q 'event=self;.*libfuse' || fail "what the view's process maps is not in the list"
done
cat "$SCRATCH/other" >"$VIEW/policy" || fail 'the new one refuses a policy'
wait_for 20 in_force 'measure func=BPRM_CHECK mask=MAY_EXEC '

# ---- undone -------------------------------------------------------------------------------------------------------
install_assayd "$SOURCE/tests/daemon/false_successor.py"
echo events >"$ASSAYD.step"
cat "$SCRATCH/policy" >"$VIEW/policy"
wait_for 20 in_force 'measure func=FILE_CHECK mask=MAY_READ '
expect 1 timeout 100 "$ASSAY" upgrade --control "$CONTROL"
expect_text "$ERR" "process $DAEMON goes on: the new one ended"
is_served || fail 'the view is not served after an upgrade that was undone'
echo undone >"$MNT/undone"
timeout 60 cat "$MNT/undone" >/dev/null
wait_for 20 has_name "$MNT/undone"
wait_for 20 shows_all
need_proved
kill -TERM "$DAEMON"
wait_for 60 has_ended "$DAEMON"
[ "$(mounts)" = 0 ] || fail 'the view is still there'
