#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Workers that cannot be killed, as a medium does not answer: there are others in their place, but not without
# bound; status says so; and once it answers all is as before.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
# Nothing else here makes a process unkillable: who is frozen by the freezer of cgroup v1 does not hear of SIGKILL.
FREEZER=$(awk '$3 == "cgroup" && $4 ~ /(^|,)freezer(,|$)/ { print $2; exit }' /proc/mounts)
[ -n "$FREEZER" ] || skip 'needs the freezer of cgroup v1'
hang_test mount
GROUP=$FREEZER/assay-test.$$
mkdir "$GROUP" || skip 'cannot make a cgroup'
thaw_workers() {
	local status=$?
	echo THAWED >"$GROUP/freezer.state" 2>/dev/null || true
	for _ in {1..50}; do
		rmdir "$GROUP" 2>/dev/null && break
		sleep 0.1
	done
	return $status
}
trap 'thaw_workers || _cleanup; _cleanup' EXIT
make_files "$MNT/files" 40 >"$SCRATCH/files"
start_hang workers=1
WORKERS=2          # one more, for small files
MOST=$((WORKERS * 4)) # three times as many that do not end

worker_pids() {
	pgrep -P "$(pgrep -P "$DAEMON")" -f '^assayd: worker'
}
stuck_is() {
	status health.troubles | grep -q '"workers_stuck"'
}
echo FROZEN >"$GROUP/freezer.state"
for round in {1..8}; do
	for pid in $(worker_pids); do echo "$pid" >"$GROUP/cgroup.procs" 2>/dev/null || true; done
	sed -n "$((round * 4 - 3)),$((round * 4))p" "$SCRATCH/files" >"$SCRATCH/some"
	asks read 4 "$SCRATCH/told-$round" <"$SCRATCH/some"
	need_quick "$SCRATCH/told-$round" $((DEADLINE_MS + SLACK_MS))
	[ "$(worker_pids | wc -l)" -le $MOST ] || fail "there are $(worker_pids | wc -l) workers"
done
wait_for 60 stuck_is
[ "$(worker_pids | wc -l)" -gt $WORKERS ] || fail 'nobody was stuck: this shows nothing'
echo "$(worker_pids | wc -l) workers, stuck ones among them"
echo THAWED >"$GROUP/freezer.state"
as_before() { [ "$(worker_pids | wc -l)" = $WORKERS ] && ! stuck_is; }
wait_for 60 as_before
tail -n 2 "$SCRATCH/files" | asks read 2 "$SCRATCH/told-last"
need_quick "$SCRATCH/told-last" $SLACK_MS
hang_end "$SCRATCH"/told-*
