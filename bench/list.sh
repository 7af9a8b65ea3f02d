# SPDX-License-Identifier: LGPL-2.1-or-later
# The sections of bench/run.sh about lists and policies. Sourced by it.
# shellcheck shell=bash disable=SC2154

bench_policy() {
	local i
	for ((i = 0; i < rounds; i++)); do
		note ns "$("$build/bench/bench_policy" | grep -o -E '[0-9.]+' | head -n 1)"
	done
	row "one event against a policy of 100 rules: ns, / 1 us" "$(of ns)" 1000 \
		"$(calc "$(of ns) / 1000")" "<= 1"
}
