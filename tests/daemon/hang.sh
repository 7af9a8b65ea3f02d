# SPDX-License-Identifier: LGPL-2.1-or-later
# What the hang tests share; sourced after lib.sh. In each, users without rights do their worst on $MNT, and then:
# everybody was answered in time, nobody was denied, what was opened is in the list or counted there, memory is
# bounded, the list replays, and assayd ends when it is asked to.
# shellcheck shell=bash
: "${OPENER:?}"
DEADLINE_MS=2000
SLOW=${ASSAY_TEST_SLOW:-1}  # so many times slower is this machine than others
# Beyond the deadline: sanitizers, and whatever else this machine does.
SLACK_MS=$((20000 + 3000 * SLOW))
# Where nobody is to wait for the deadline: so late that who waited for it is seen, and before ASK_SECONDS.
FAR_DEADLINE_MS=80000
LONG=${ASSAY_TEST_LONG:-}
PSS_MAX_KB=32768
grep -q __asan_init "${ASSAYD:?}" && PSS_MAX_KB=131072
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=8

# hang_test [WITH]...: daemon_test, with a $MNT where anybody may write, and what ordinary users need there.
hang_test() {
	daemon_test "$@"
	need setpriv
	cp "$OPENER" "$SCRATCH/opener"
	chmod 711 "$SCRATCH"
	[ -z "${MNT:-}" ] || chmod 1777 "$MNT"
	echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"
}

# user [ID]: somebody without any rights, in front of a command: in ${USER_RUNS[@]}, and as_user of it.
# shellcheck disable=SC2120 # tests pass it
user() {
	USER_RUNS=(setpriv --reuid="${1:-65534}" --regid="${1:-65534}" --clear-groups --inh-caps=-all
		--bounding-set=-all -- env PATH=/usr/bin:/bin "ASK_SECONDS=${ASK_SECONDS:-100}")
}
user
as_user() {
	"${USER_RUNS[@]}" "$@"
}

# silent_server NAME WHAT: a FUSE filesystem at $SCRATCH/NAME whose server takes no request of that kind any more once
# $SCRATCH/NAME.stall is there. Who waits for it cannot be killed, so it goes first.
SERVERS=()
silent_server() {
	[ -e /dev/fuse ] || skip 'there is no /dev/fuse'
	mkdir "$SCRATCH/$1"
	background python3 "$SOURCE/tests/daemon/silent_fuse.py" "$SCRATCH/$1" "$2" "$SCRATCH/$1.stall" >"$SCRATCH/$1.log"
	SERVERS+=("$PID")
	_mounts+=("$SCRATCH/$1")
	trap 'kill_servers || _cleanup; _cleanup' EXIT
	wait_for 60 grep -q mounted "$SCRATCH/$1.log"
}
kill_servers() {
	local status=$?
	kill -KILL "${SERVERS[@]}" 2>/dev/null || true
	SERVERS=()
	return $status
}

# hold_execs COUNT: so many of a user's processes whose exec waits for his FUSE server, so that whoever reads their memory
# maps in /proc waits, too; ${HOLDERS[@]} are their pids.
hold_execs() {
	cp "$SOURCE/tests/daemon/exec_holders.py" "$SCRATCH/holders.py"
	silent_server fuse write
	touch "$SCRATCH/fuse.stall"
	"${USER_RUNS[@]}" python3 "$SCRATCH/holders.py" "$SCRATCH/fuse/file" "$1" >"$SCRATCH/holders" &
	_pids+=("$!")
	wait_for 60 grep -q silent "$SCRATCH/fuse.log"
	mapfile -t HOLDERS <"$SCRATCH/holders"
}

# run_behind SECONDS: what comes behind them, as its pid is higher: it runs a file that has no name any more. is_behind:
# that was measured.
run_behind() {
	cp /bin/sleep "$MNT/runs"
	BEHIND=$(sha256sum "$MNT/runs" | cut -d ' ' -f 1)
	background "$MNT/runs" "$1"
	wait_for 60 runs_behind
	[ "$PID" -gt "${HOLDERS[-1]}" ] || skip 'process numbers have begun again'
	rm "$MNT/runs"
}
runs_behind() {
	[ "$(readlink "/proc/$PID/exe")" = "$MNT/runs" ]
}
is_behind() {
	entries | grep -q "sha256:$BEHIND $MNT/"
}

# freeze_test: hang_test, and $MNT, which has the list, too, is to be frozen.
freeze_test() {
	need fsfreeze
	hang_test mount tpm
	thaw_at_end "$MNT"
	LIST=$MNT/list
	echo 'measure func=FILE_CHECK mask=^MAY_READ uid=65534' >"$SCRATCH/policy" # not who reads the list
}

# thaw_at_end FOLDER: whatever happens, it does not stay frozen.
thaw_at_end() {
	FROZEN=$1
	trap 'thaw || _cleanup; _cleanup' EXIT
	# shellcheck disable=SC2016
	background bash -c 'sleep 200; fsfreeze -u "$1"' thaw "$FROZEN" >/dev/null 2>&1
}
thaw() {
	local status=$?
	fsfreeze -u "$FROZEN" 2>/dev/null || true
	return $status
}

# start_hang [KEY=VALUE]...: start_assayd with a deadline, and somebody who looks at its memory.
start_hang() {
	start_assayd "policy=$SCRATCH/policy" "deadline_ms=$DEADLINE_MS" "$@"
	rm -f "$SCRATCH/pss"
	background python3 "$SOURCE/tests/daemon/hang_memory.py" "$DAEMON" >"$SCRATCH/pss"
	WATCHER=$PID
}

# make_files FOLDER COUNT: the user's, small, each another; their paths.
make_files() {
	as_user python3 - "$1" "$2" <<-'EOF'
		import os, sys
		os.makedirs(sys.argv[1], exist_ok=True)
		for i in range(int(sys.argv[2])):
		    path = '%s/%d' % (sys.argv[1], i)
		    with open(path, 'w') as f: f.write(path)
		    print(path)
	EOF
}

# huge_file PATH: the user's, that one call makes and nobody can digest in time.
huge_file() {
	as_user truncate -s 8T "$1" || skip 'cannot make a file of 8 TiB here'
}

# set_size FILE BYTES: of the user's, without an open that somebody would hear of.
set_size() {
	as_user python3 -c 'import os, sys; os.truncate(sys.argv[1], int(sys.argv[2]))' "$@"
}

# asks HOW THREADS TO [TIMES] <PATHS: the user opens them; TO gets what became of each. Nobody waits for ever.
asks() {
	as_user "$SCRATCH/opener" "$1" "$2" "${@:4}" >"$3" || fail "opener exits $?: somebody waits for ever"
}

# in_background ASKS-ARGUMENTS <PATHS: its pid is in $PID.
in_background() {
	cat >"$3.paths"
	"${USER_RUNS[@]}" "$SCRATCH/opener" "$1" "$2" "${@:4}" <"$3.paths" >"$3" &
	PID=$!
	_pids+=("$PID")
}

# need_quick FILE MS: nobody waited longer.
need_quick() {
	local worst
	[ -s "$1" ] || fail "nobody has opened anything: $1"
	worst=$(cut -d ' ' -f 2 "$1" | sort -n | tail -n 1)
	echo "$(basename "$1"): $(wc -l <"$1") opens, the longest took $worst ms"
	[ "$worst" -le "$2" ] || fail "somebody waited $worst ms: $(sort -k 2n "$1" | tail -n 1)"
}

# middle FILE: how long the median waited.
middle() {
	cut -d ' ' -f 2 "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# need_allowed FILE: no open failed.
need_allowed() {
	local denied
	denied=$(grep -v -c '^ok ' "$1" || true)
	[ "$denied" = 0 ] || fail "$denied opens were refused: $(grep -v '^ok ' "$1" | head -n 1)"
}

none_held() {
	[ "$(status events.held)" = 0 ]
}

# some_held COUNT: so many at least.
some_held() {
	[ "$(status events.held)" -ge "$1" ]
}

# need_no_deadline: nobody was answered before his file was measured.
need_no_deadline() {
	[ "$(status events.deadlines)" = 0 ] || fail 'somebody was answered at the deadline'
}

# busy_workers: those that have computed for half a second since workers_begin, one a line.
busy_workers() {
	worker_times | awk 'NR == FNR { was[$1] = $2; next } $2 - was[$1] >= 50 { print $1 }' "$SCRATCH/worker-times" -
}
one_is_busy() {
	[ -n "$(busy_workers)" ]
}
workers_begin() {
	worker_times >"$SCRATCH/worker-times"
}
worker_times() { # in hundredths of a second
	local pid user system
	for pid in $(workers); do
		read -r user system < <(sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 12,13)
		echo "$pid $((user + system))"
	done
}

signal_workers() {
	workers | xargs kill "$1"
}

# keep_busy: the worker for the long ones, with a file at $MNT/huge that is measured late; the other one, of two, is
# $SPARE and is stopped. What its opener was told is in $SCRATCH/huge-told.
keep_busy() {
	huge_file "$MNT/huge"
	workers_begin
	asks read 1 "$SCRATCH/huge-told" <<<"$MNT/huge"
	wait_for 60 one_is_busy
	SPARE=$(workers | grep -vx "$(busy_workers)")
	kill -STOP "$SPARE"
}

accounted() {
	entries >"$SCRATCH/entries"
	python3 "$SOURCE/tests/daemon/hang_account.py" "$SCRATCH/entries" "$@" >"$SCRATCH/account" 2>&1
}

# need_accounted FILE...: whatever was opened has a record or a gap record; these come behind the answer.
need_accounted() {
	wait_for 60 none_held
	local end=$((SECONDS + 60))
	until accounted "$@" || [ $SECONDS -ge $end ]; do sleep 0.1; done
	accounted "$@" || fail "a loss is not in the list: $(cat "$SCRATCH/account")"
	cat "$SCRATCH/account"
}

all_anchored() {
	[ "$(status list.anchored)" = "$(status list.records)" ]
}

# hang_end OPENED...: what all of these tests want at their end.
hang_end() {
	local began worst
	need_accounted "$@"
	wait_for 60 all_anchored # gap records wait for nobody
	[ -z "${TCTI:-}" ] || need_proved
	began=$(date +%s%3N)
	stop_assayd
	worst=$(($(date +%s%3N) - began))
	echo "assayd ended after $worst ms"
	[ $worst -lt $SLACK_MS ] || fail "it took $worst ms to end"
	wait "$WATCHER" || fail 'nobody has looked at its memory'
	worst=$(tail -n 1 "$SCRATCH/pss")
	echo "at most $worst KiB (PSS) in all its processes"
	[ "$worst" -le $PSS_MAX_KB ] || fail "it took $worst KiB"
}
