#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs what the tests need, builds, and runs every test that this machine can run. The last line
# is "N passed, N failed, N skipped"; exit status 0 if nothing failed. About six minutes on 2 cores.
#
# What mostly waits (daemons, TPMs, whoever hangs) runs beside what mostly computes (compilers, unit
# tests): lanes, in each one suite after the other. A suite's output comes when it is done.
set -u
cd "$(dirname "$(readlink -f "$0")")" || exit 2

usage() {
	cat <<'EOF'
usage: sudo ./test.sh [--vm] [--all]

  --vm     also the tests in virtual machines, on other kernels: eight minutes more, and downloads
           two kernels and a small Debian once
  --all    also long runs: fuzz targets for five minutes each, every bit of every list flipped, crash
           tests with 1,000 kills; about an hour

Without root nothing is installed, and the tests that need root are skipped.
EOF
}

vm=no all=no
for argument; do
	case $argument in
	--vm) vm=yes ;;
	--all) all=yes ;;
	-h | --help) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
done

patience=3 cpus=$(nproc) # a test's time-out is three times what it says: machines are slow, or busy
started=$SECONDS lanes=() rebuild=() below=()
TMPDIR=${TMPDIR:-/tmp}
[ ${#TMPDIR} -le 20 ] || TMPDIR=/tmp # names of sockets have 107 characters
scratch=$(mktemp -d "$TMPDIR/assay-tests.XXXXXX") || exit 2
chmod 711 "$scratch" # tests run programs as other users
export TMPDIR=$scratch
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH # what Debian's packages brought, before what else there is
counts=$scratch/counts
: >"$counts"

# What a test left behind is undone here, and counted: see check_leftovers.
undo_leftovers() {
	local device mount pid
	# What was called with our scratch folder, or is a program that we built, whatever it calls itself. grep
	# finds itself too; it is gone when kill looks for it.
	for pid in $({
		cd /proc && grep -l -s -a -F -e "$scratch/" [0-9]*/cmdline | cut -d/ -f1
		find /proc/[0-9]*/exe -maxdepth 0 -lname "$PWD/build-test-*" 2>/dev/null | cut -d/ -f3
	} | sort -u); do
		[ "$pid" = $$ ] || { kill -KILL "$pid" && echo "left behind: process $pid"; }
	done
	while read -r mount; do
		umount -l "$mount" && echo "left behind: mount $mount"
	done < <(awk -v s="$scratch/" 'index($5, s) == 1 { print $5 }' /proc/self/mountinfo | tac)
	for device in $(losetup -n -O NAME,BACK-FILE 2>/dev/null | awk -v s="$scratch/" \
		'index($2, s) == 1 { print $1 }'); do
		losetup -d "$device" && echo "left behind: loop device $device"
	done
}

finish() {
	local pid i
	trap - EXIT
	# meson ends its tests, and these what they have started; for as long as that takes, within reason.
	for pid in "${lanes[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null
	done
	for pid in "${lanes[@]}"; do
		for ((i = 0; i < 150; i++)); do
			kill -0 -- "-$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL -- "-$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	undo_leftovers >/dev/null 2>&1
	rm -rf "$scratch"
	# Under sudo the build folders shall belong to whoever calls.
	[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" build-test-* 2>/dev/null
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

heading() {
	printf '\n== %s (%d s)\n' "$*" $((SECONDS - started))
}

# count PASSED FAILED SKIPPED: so many more.
count() {
	echo "$*" >>"$counts"
}

# beside COMMAND...: a lane, in a process group of its own, so that it can be ended.
beside() {
	set -m
	(
		trap - EXIT INT TERM HUP
		"$@"
	) </dev/null &
	set +m
	lanes+=($!)
}

# alone COMMAND...: a lane with nothing beside it; its status. So whoever ends this script need not wait for it.
alone() {
	local status=0
	beside "$@"
	wait "${lanes[-1]}" || status=$?
	unset 'lanes[-1]'
	return $status
}

# in_one_piece COMMAND...: what it prints, so that lanes do not mingle.
in_one_piece() {
	local status=0
	"$@" >"$scratch/said.$BASHPID" 2>&1 || status=$?
	flock "$counts" cat "$scratch/said.$BASHPID"
	return $status
}

# count_results LOG: adds up meson's log, one JSON object a line, and says why tests were skipped.
count_results() {
	python3 - "$1" >>"$counts" <<'EOF' || count 0 1 0
import json, sys
count = {'OK': 0, 'FAIL': 0, 'SKIP': 0}
try:
    for line in open(sys.argv[1]):
        test = json.loads(line)
        kind = {'OK': 'OK', 'EXPECTEDFAIL': 'OK', 'SKIP': 'SKIP'}.get(test['result'], 'FAIL')
        count[kind] += 1
        if kind == 'SKIP':
            words = (test.get('stdout') or 'without a reason').strip().splitlines()[-1]
            print(f"  skipped {test['name']}: {words}", file=sys.stderr)
        # A test that is several, and one of these cannot run here.
        for part in (test.get('stdout') or '').splitlines():
            if kind == 'OK' and part.startswith('part skipped: '):
                count['SKIP'] += 1
                print(f"  skipped in {test['name']}: {part[14:]}", file=sys.stderr)
        if kind == 'FAIL':
            print(f"  FAILED {test['name']}: {test['result']}", file=sys.stderr)
except OSError as e:
    count['FAIL'] = 1
    print(f'  FAILED: {e}', file=sys.stderr)
print(count['OK'], count['FAIL'], count['SKIP'])
EOF
}

# build FOLDER TARGET [MESON-OPTION]...: a build of ours, kept for the next run.
build() {
	in_one_piece build_it "$@"
}

build_it() {
	local folder=$1 target=$2 log=$scratch/log.$BASHPID
	shift 2
	heading "build $folder: $target"
	# What an earlier run did not finish is begun anew.
	[ -f "$folder/build.ninja" ] || rm -rf "$folder"
	{ [ -d "$folder" ] || meson setup "$folder" "$@" >"$log" 2>&1; } &&
		nice -n 5 ninja -C "$folder" "$target" >"$log" 2>&1 && return 0
	tail -n 60 "$log"
	echo "FAILED: build of $folder"
	count 0 1 0
	return 1
}

# run FOLDER JOBS SUITE...: suites of meson's, so many tests at once.
run() {
	in_one_piece run_it "$@"
}

run_it() {
	local folder=$1 at_once=$2 out=$scratch/log.$BASHPID base=log-$3 status=0
	shift 2
	heading "$* ($folder)"
	rm -f "$folder/meson-logs/$base".*
	"${below[@]}" meson test -C "$folder" "${rebuild[@]}" "${@/#/--suite=}" --num-processes "$at_once" \
		--logbase "$base" --timeout-multiplier "$patience" --print-errorlogs >"$out" 2>&1 || status=$?
	grep -v -E '^(\[[0-9]+/.*|ninja: .*|Full log .*|(Ok|Fail|Skipped|Timeout|Expected Fail|Unexpected Pass): .*|)$' \
		"$out"
	count_results "$folder/meson-logs/$base.json"
	# Its status is the number of tests that failed, if it came to its end.
	[ "$status" -lt 126 ] || { echo "FAILED: meson ended with $status" && count 0 1 0; }
	echo "  until $((SECONDS - started)) s"
}

check_leftovers() {
	local left
	left=$(undo_leftovers 2>/dev/null)
	[ -z "$left" ] || { echo "$left" && count 0 1 0; }
}

heading "packages"
sections=(build test)
[ $vm = no ] || sections+=(vm)
if [ "$(id -u)" = 0 ]; then
	alone tools/install-packages "${sections[@]}" || {
		echo "FAILED: packages could not be installed"
		count 0 1 0
	}
else
	echo "not root: nothing is installed, and tests that need root will be skipped"
	missing=$(tools/install-packages --missing "${sections[@]}" | tr '\n' ' ')
	[ -z "$missing" ] || echo "missing packages: $missing"
fi

if [ $all = yes ]; then
	export FUZZ_SECONDS=300 ASSAY_TEST_LONG=1 KILLS=1000
	patience=10
fi

waiting_tests() {
	rebuild=(--no-rebuild) # others build in that folder
	# Not too many on a large machine either: root may have 128 fanotify groups.
	run build-test-dev $((cpus < 4 ? 3 * cpus + 1 : 13)) daemon cli
}

unit_tests() {
	build build-test-dev all && run build-test-dev "$cpus" unit policy
	below=(nice) # its time is that of processors: the others first, but not for ever
	[ ! -f build-test-dev/build.ninja ] || run build-test-dev $((4 * cpus)) fuzz-smoke
}

other_builds() {
	build build-test-tsan concurrent -Dfuzz=disabled -Db_sanitize=thread -Db_lundef=false \
		-Doptimization=1 -Dbuildtype=debug && run build-test-tsan "$cpus" concurrent
	# As Debian compiles.
	build build-test-release all -Dfuzz=disabled --buildtype=release -Doptimization=2 &&
		run build-test-release "$cpus" check unit package
}

# First what the waiting tests need, with all processors.
if alone build build-test-dev daemon-and-cli --native-file dev.ini; then
	beside waiting_tests
	beside unit_tests
fi
beside other_builds
for lane in "${lanes[@]}"; do
	status=0
	wait "$lane" || status=$?
	[ "$status" -lt 126 ] || { echo "FAILED: tests ended with $status" && count 0 1 0; }
done
lanes=()
if [ $vm = yes ]; then
	# No sanitizer: the guests are slow enough.
	alone run build-test-release 1 vm
	[ $all = no ] || alone run build-test-release 1 vm-long
fi
check_leftovers

heading "done"
read -r passed failed skipped < <(awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$counts")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
