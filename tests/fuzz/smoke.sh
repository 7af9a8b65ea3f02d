#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One fuzz target for FUZZ_SECONDS (10), from its seeds: smoke.sh TARGET CORPUS. Beside others it goes on until it has had
# a quarter of that on a processor; where they leave it too little it ends after twenty times as long, and says so.
# New inputs go to a folder of their own; the corpus in the tree is only read.
set -eu

if [ "$1" = none ]; then
	echo "skipped: no clang with libFuzzer here (Debian: clang, libclang-rt-NN-dev)"
	exit 77
fi
target=$1 corpus=$2
scratch=$(mktemp -d "${TMPDIR:-/tmp}/assay-fuzz.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/new"
seeds=()
[ -d "$corpus" ] && seeds=("$corpus")
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} UBSAN_OPTIONS=print_stacktrace=1

status=0 seconds=${FUZZ_SECONDS:-10} ticks=0 hertz=$(getconf CLK_TCK)
"$target" -timeout=1000 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$scratch/" "$scratch/new" \
	"${seeds[@]}" >"$scratch/log" 2>&1 &
pid=$!
# goes_on: it has not had its time; on a processor that is $ticks so far: fields 14 and 15, behind a name that may have
# blanks. Field 3 is its state.
goes_on() {
	local stat
	stat=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
	read -r -a stat <<<"${stat##*) }"
	ticks=$((stat[11] + stat[12]))
	[ "${stat[0]}" != Z ] && [ $SECONDS -lt $((20 * seconds)) ] &&
		{ [ $SECONDS -lt "$seconds" ] || [ $ticks -lt $((seconds * hertz / 4)) ]; }
}
while goes_on; do sleep 0.5; done
kill -USR1 %1 2>/dev/null || true # it ends, and says what it has done
wait $pid || status=$?
tail -n 12 "$scratch/log"
[ $SECONDS -lt $((20 * seconds)) ] || echo "it had $((ticks / hertz)) s of processor time in $SECONDS s"
if [ $status -ne 0 ]; then
	grep -m 1 -A 12 -E 'ERROR|runtime error|SUMMARY' "$scratch/log" || true
	for found in "$scratch"/crash-* "$scratch"/leak-* "$scratch"/timeout-* "$scratch"/oom-*; do
		[ -e "$found" ] || continue
		echo "input that failed ($(basename "$found"), base64):"
		base64 "$found" | head -c 8192
	done
	exit 1
fi
