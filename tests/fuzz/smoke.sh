#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One fuzz target for FUZZ_SECONDS (10), from its seeds: smoke.sh TARGET CORPUS.
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

# libFuzzer ends when more than that many whole seconds are over: one more than it is told.
seconds=$((${FUZZ_SECONDS:-10} - 1)) status=0
"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	-artifact_prefix="$scratch/" "$scratch/new" "${seeds[@]}" >"$scratch/log" 2>&1 || status=$?
tail -n 12 "$scratch/log"
if [ $status -ne 0 ]; then
	grep -m 1 -A 12 -E 'ERROR|runtime error|SUMMARY' "$scratch/log" || true
	for found in "$scratch"/crash-* "$scratch"/leak-* "$scratch"/timeout-* "$scratch"/oom-*; do
		[ -e "$found" ] || continue
		echo "input that failed ($(basename "$found"), base64):"
		base64 "$found" | head -c 8192
	done
	exit 1
fi
