#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs what the tests need, builds, and runs every test that this machine can run. The last line
# is "N passed, N failed, N skipped"; exit status 0 if nothing failed. About five minutes on 2 cores.
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

passed=0 failed=0 skipped=0 patience=1
started=$SECONDS
scratch=$(mktemp -d "${TMPDIR:-/tmp}/assay-tests.XXXXXX") || exit 2
chmod 711 "$scratch" # tests run programs as other users
export TMPDIR=$scratch

# What a test left behind is undone here, and counted: see check_leftovers.
undo_leftovers() {
	local device mount pid
	# grep finds itself too; it is gone when kill looks for it.
	for pid in $(cd /proc && grep -l -s -a -F -e "$scratch/" [0-9]*/cmdline | cut -d/ -f1); do
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
	trap - EXIT
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

# count_results LOG: adds up meson's log, one JSON object a line, and says why tests were skipped.
count_results() {
	local p=0 f=0 s=0
	read -r p f s < <(python3 - "$1" <<'EOF'
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
        if kind == 'FAIL':
            print(f"  FAILED {test['name']}: {test['result']}", file=sys.stderr)
except OSError:
    count['FAIL'] = 1
print(count['OK'], count['FAIL'], count['SKIP'])
EOF
	)
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1})) skipped=$((skipped + ${s:-0}))
}

# build FOLDER [MESON-OPTION]...: a build of ours, kept for the next run.
build() {
	local folder=$1
	shift
	heading "build $folder"
	{ [ -f "$folder/build.ninja" ] || meson setup "$folder" "$@" >"$scratch/setup" 2>&1 ||
		meson setup --wipe "$folder" "$@" >"$scratch/setup" 2>&1; } &&
		ninja -C "$folder" >"$scratch/ninja" 2>&1 && return 0
	tail -n 40 "$scratch/setup" "$scratch/ninja" 2>/dev/null
	echo "FAILED: build of $folder"
	failed=$((failed + 1))
	return 1
}

# run FOLDER SUITE [JOBS]: one suite of meson's.
run() {
	local folder=$1 suite=$2 jobs=${3:-$(nproc)} log=log-$2
	[ -f "$folder/build.ninja" ] || return
	heading "$suite ($folder)"
	rm -f "$folder/meson-logs/$log".*
	meson test -C "$folder" --suite "$suite" --num-processes "$jobs" --logbase "$log" \
		--timeout-multiplier "$patience" --print-errorlogs >"$scratch/out" 2>&1 </dev/null || true
	if grep -q -E '^No (suitable )?tests' "$scratch/out"; then
		echo "  no tests in this suite yet"
		return
	fi
	grep -v -E '^(\[[0-9]+/.*|ninja: .*|Full log .*|(Ok|Fail|Skipped|Timeout|Expected Fail|Unexpected Pass): .*|)$' \
		"$scratch/out"
	count_results "$folder/meson-logs/$log.json"
}

has_suite() {
	meson introspect --tests "$1" 2>/dev/null | grep -q "\"assay:$2\""
}

check_leftovers() {
	local left
	left=$(undo_leftovers 2>/dev/null)
	[ -z "$left" ] || { echo "$left" && failed=$((failed + 1)); }
}

heading "packages"
sections=(build test)
[ $vm = no ] || sections+=(vm)
if [ "$(id -u)" = 0 ]; then
	tools/install-packages "${sections[@]}" || {
		echo "FAILED: packages could not be installed"
		failed=$((failed + 1))
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
build build-test-release --buildtype=release && {
	run build-test-release check
	run build-test-release unit
	run build-test-release package
}
build build-test-dev --native-file dev.ini && {
	run build-test-dev unit
	run build-test-dev cli
	run build-test-dev policy
	run build-test-dev daemon $(($(nproc) + 1)) # they wait more than they work
	run build-test-dev fuzz-smoke 2
}
if has_suite build-test-dev concurrent; then
	build build-test-tsan -Db_sanitize=thread -Db_lundef=false -Doptimization=1 -Dbuildtype=debug &&
		run build-test-tsan concurrent
fi
if [ $vm = yes ]; then
	# Neither a long run's patience nor a sanitizer: the guests are slow enough.
	patience=1
	run build-test-release vm 1
fi
check_leftovers

heading "done"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
