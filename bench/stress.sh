# SPDX-License-Identifier: LGPL-2.1-or-later
# The sections of bench/run.sh that put a daemon under stress: its CPU, and how long opens take meanwhile, those of who
# makes the stress and those of a bystander; without a daemon, with assayd, with fapolicyd, in turns. Sourced by it.
# shellcheck shell=bash disable=SC2154

# cpu_seconds PID: of it and all its descendants, and of those that have ended.
cpu_seconds() {
	python3 - "$1" <<-'EOP'
		import os, sys
		parent, used = {}, {}
		for name in filter(str.isdigit, os.listdir('/proc')):
		    try:
		        field = open(f'/proc/{name}/stat').read().rpartition(')')[2].split()
		    except OSError:
		        continue
		    parent[int(name)] = int(field[1])
		    used[int(name)] = sum(map(int, field[11:15]))
		family = {int(sys.argv[1])}
		while True:
		    more = {p for p, of in parent.items() if of in family} - family
		    if not more: break
		    family |= more
		print(sum(used.get(p, 0) for p in family) / os.sysconf('SC_CLK_TCK'))
	EOP
}

stress_columns="ms opens median p99 longest by_opens by_median by_p99 by_longest cpu"

# stress_round WHO STRESS [PID]: one sample of each column.
stress_round() {
	local column before=0 after=0 values
	rm -rf "$mnt/files" && mkdir "$mnt/files"
	case $2 in
	reads) "$client" make "$mnt/files" 2000 16384 ;;
	known) "$client" make "$mnt/files" 50 16384 && cat "$mnt"/files/* >/dev/null ;;
	execs) for i in {1..50}; do cp "$mnt/true" "$mnt/files/$i"; done ;;
	esac
	[ -z "${3:-}" ] || before=$(cpu_seconds "$3")
	values=$("$build/bench/bench_stress" "$2" "$mnt/files" "$mnt/true") || { echo "bench: $2 failed with $1" >&2 && exit 1; }
	[ -z "${3:-}" ] || after=$(cpu_seconds "$3")
	for column in $stress_columns; do
		note "$1.$column" "${values%% *}"
		values="${values#* } "
		[ "$column" != by_longest ] || values=$(calc "$after - $before")
	done
}

stress_rows=()
stress_row() {
	local who=$1 line column
	line="$2"
	for column in ms cpu median p99 longest by_median by_p99 by_longest; do
		line="$line|$(of "$who.$column")"
		[ $column != ms ] || line="$line|$(calc "$(of "$who.ms") / $(of bare.ms)")"
	done
	stress_rows+=("$line")
	IFS='|' read -r -a line <<<"$line"
	printf '%-36s %9s %7s %6s %9s %9s %9s %9s %9s %9s\n' "${line[@]}"
}

stress_head() {
	printf '%-36s %9s %7s %6s %9s %9s %9s %9s %9s %9s\n' "$1" ms /without cpu/s median p99 longest bystander p99 longest
}

stress_markdown() {
	[ ${#stress_rows[@]} != 0 ] || return 0
	echo '| stress | ms | / without | CPU s of the daemon | open: median us | p99 | longest | bystander: median us | p99 | longest |'
	echo '|---|---|---|---|---|---|---|---|---|---|'
	local line
	for line in "${stress_rows[@]}"; do echo "| ${line//|/ | } |"; done
}

# bench_stress STRESS WORDS
bench_stress() {
	local i others=no
	fresh_mount 256M
	chmod 755 "$mnt"
	printf 'int main(void) { return 0; }\n' >"$scratch/true.c"
	cc -O2 -static -o "$mnt/true" "$scratch/true.c"
	for ((i = 0; i < rounds; i++)); do
		stress_round bare "$1"
		start_tpm
		printf '%s\n' 'measure func=FILE_CHECK mask=^MAY_READ' 'measure func=BPRM_CHECK' >"$scratch/policy"
		policy=$scratch/policy start_assayd first_sight=eager
		stress_round ours "$1" "$assayd_pid"
		stop_assayd
		stop_tpm
		if command -v fapolicyd >/dev/null && start_fapolicyd; then
			others=yes
			stress_round fapolicyd "$1" "$fapolicyd_pid"
			stop_fapolicyd
		fi
	done
	stress_head "$2"
	stress_row bare "$1: without"
	stress_row ours "$1: assayd"
	[ $others = no ] || stress_row fapolicyd "$1: fapolicyd"
}

bench_scripts() { bench_stress scripts "10 processes, 1,500 scripts, microseconds"; }
bench_reads() { bench_stress reads "3 processes, 2,000 new files, twice"; }
bench_execs() { bench_stress execs "16 processes, 3,200 execs of 50 programs"; }
bench_known() { bench_stress known "4 processes, 80,000 opens of 50 files"; }
