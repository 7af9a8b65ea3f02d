# SPDX-License-Identifier: LGPL-2.1-or-later
# Arithmetic, the table, and what is started for bench/run.sh. Sourced by it, in a mount namespace of
# its own.
# shellcheck shell=bash disable=SC2154,SC2034

# ---- figures ----------------------------------------------------------------------------------------

# median NUMBER...
median() {
	printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 }
		END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# note NAME NUMBER: one sample; of NAME gives the median of them all.
note() {
	echo "$2" >>"$scratch/samples/$1"
}
of() {
	[ -s "$scratch/samples/$1" ] || return 1
	local values
	mapfile -t values <"$scratch/samples/$1"
	median "${values[@]}"
}
forget() {
	rm -f "$scratch/samples"/*
}

# calc EXPRESSION: awk's arithmetic, four significant digits.
calc() {
	awk "BEGIN { printf \"%.4g\", $1 }"
}

rows=()
# row WHAT OURS OTHER RATIO TARGET: TARGET is "<= N" or ">= N", which RATIO is held against; or "-".
row() {
	local verdict=reported
	if [ "$5" != - ]; then
		verdict=$(awk "BEGIN { print ($4 $5) ? \"met\" : \"MISSED\" }")
	fi
	rows+=("$1|$2|$3|$4|$5|$verdict")
	printf '%-62s %14s %14s %9s %8s  %s\n' "$1" "$2" "$3" "$4" "$5" "$verdict"
}

# absent WHAT WHY: a row that could not be measured.
absent() {
	rows+=("$1|-|-|-|-|not measured: $2")
	printf '%-62s not measured: %s\n' "$1" "$2"
}

table_head() {
	printf '\n%-62s %14s %14s %9s %8s  %s\n' what ours other ratio target verdict
}

# The same as a table of Markdown.
table_markdown() {
	local line
	echo '| what | ours | other | ratio | target | |'
	echo '|---|---|---|---|---|---|'
	for line in "${rows[@]}"; do
		echo "| ${line//|/ | } |"
	done
}

# ---- processes --------------------------------------------------------------------------------------

# What runs and must not be left behind; only what was not waited for yet, as its number may be another's.
declare -A running=()
tpm_pids=() guard_pid='' policy=tcb patience=300
client=$build/bench/bench_files

as_user() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

stop_pid() {
	[ -n "${1:-}" ] || return 0
	kill -TERM "$1" 2>/dev/null
	local i
	for ((i = 0; i < 100; i++)); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	unset "running[$1]"
	return 0
}

# Kills @1 after @2 seconds, whatever happens: nothing on this machine may hang for a bench.
guard() {
	(
		nap=
		trap - EXIT
		trap 'kill $nap; exit 0' TERM
		sleep "$2" &
		nap=$!
		wait $nap
		kill -KILL "$1"
	) </dev/null >/dev/null 2>&1 &
	guard_pid=$!
}
unguard() {
	[ -n "$guard_pid" ] || return 0
	kill "$guard_pid" 2>/dev/null
	wait "$guard_pid" 2>/dev/null
	guard_pid=''
}

# wait_until SECONDS COMMAND...
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# ---- scratch filesystems ----------------------------------------------------------------------------

# fresh_mount SIZE [MKFS-OPTION]...: an empty ext4 at $mnt.
fresh_mount() {
	local size=$1
	shift
	drop_mount
	rm -f "$scratch/fs.img"
	truncate -s "$size" "$scratch/fs.img"
	mkfs.ext4 -q -F "$@" "$scratch/fs.img"
	mount -o loop,noatime "$scratch/fs.img" "$mnt"
}

drop_mount() {
	local i
	for ((i = 0; i < 50; i++)); do
		mountpoint -q "$mnt" || return 0
		umount "$mnt" 2>/dev/null && return 0
		sleep 0.1
	done
	umount -l "$mnt"
}

# cold: nothing of $mnt is in the page or inode cache any more, nor of the image that it is made of.
cold() {
	sync -f "$mnt"
	umount "$mnt" || return
	sync "$scratch/fs.img"
	dd if="$scratch/fs.img" iflag=nocache count=0 status=none
	mount -o loop,noatime "$scratch/fs.img" "$mnt"
}

# ---- a software TPM, with a delay if asked for ------------------------------------------------------

# start_tpm [DELAY-MS]: a fresh one, whose extends take DELAY-MS more; $tcti, $tpm_pids
start_tpm() {
	local dir=$scratch/tpm.$RANDOM
	mkdir "$dir"
	swtpm socket --tpm2 --tpmstate "dir=$dir" --flags not-need-init,startup-clear \
		--server "type=unixio,path=$dir/sock" --ctrl "type=unixio,path=$dir/sock.ctrl" \
		>"$dir/log" 2>&1 &
	tpm_pids=($!)
	running[$!]=swtpm
	wait_until 10 test -S "$dir/sock.ctrl"
	tcti=swtpm:path=$dir/sock
	[ -n "${1:-}" ] || return 0
	"$build/tests/tools/tpm_delay" --extend-us $(($1 * 1000)) "$dir/slow" "$dir/sock" \
		>"$dir/delay.log" 2>&1 &
	tpm_pids+=($!)
	running[$!]=tpm_delay
	ln -s sock.ctrl "$dir/slow.ctrl"
	wait_until 10 test -S "$dir/slow"
	tcti=swtpm:path=$dir/slow
}

stop_tpm() {
	local pid
	for pid in "${tpm_pids[@]}"; do
		stop_pid "$pid"
	done
	tpm_pids=()
}

# ---- the daemons ------------------------------------------------------------------------------------

# start_assayd [KEY=VALUE]...: with a fresh list, on $mnt, until it listens; $assayd_pid. The keys are
# those of assayd.conf(5).
start_assayd() {
	list=$scratch/list.$RANDOM
	mkdir -m 700 "$list"
	start_assayd_again "$@"
}

# With the list that is there.
start_assayd_again() {
	rm -f "$scratch/control"
	{
		printf '%s\n' "policy = $policy" "list_dir = $list" "tcti = $tcti" "mount = $mnt" \
			"control_socket = $scratch/control" "public_socket = none" "kernel_list = none" "view_dir = none"
		printf 'exempt_pid = %s\n' "${tpm_pids[@]}"
		printf '%s\n' "$@" | sed 's/=/ = /'
	} >"$scratch/assayd.conf"
	"$build/assayd" --config "$scratch/assayd.conf" >"$scratch/assayd.log" 2>&1 &
	assayd_pid=$!
	running[$assayd_pid]=assayd
	guard "$assayd_pid" "$patience"
	wait_until 60 test -S "$scratch/control" && return
	tail -n 5 "$scratch/assayd.log" >&2
	echo "bench: assayd did not start" >&2
	exit 1
}

stop_assayd() {
	if ! kill -0 "$assayd_pid" 2>/dev/null; then
		tail -n 5 "$scratch/assayd.log" >&2
		echo "bench: assayd ended by itself, or took more than $patience s" >&2
		exit 1
	fi
	stop_pid "$assayd_pid"
	unguard
}

# fapolicyd marks the mounts of its own mount namespace, which is ours alone; its configuration, trust
# database and run folder are bound over the machine's for us only. Permissive, one rule, no trust, so
# that what is measured is the round trip and not its rules.
start_fapolicyd() {
	local dir=$scratch/fapolicyd
	if [ ! -d "$dir" ]; then
		mkdir -p "$dir"/etc/{rules.d,trust.d} "$dir/var" "$dir/run" /run/fapolicyd
		printf '%s\n' 'permissive = 1' 'nice_val = 0' 'q_size = 800' 'uid = root' \
			'gid = root' 'do_stat_report = 0' 'detailed_report = 0' 'db_max_size = 50' \
			'subj_cache_size = 1549' 'obj_cache_size = 8191' 'watch_fs = ext4' 'trust = file' \
			'integrity = none' 'syslog_format = rule,dec,perm,pid,exe,:,path,ftype,trust' \
			'allow_filesystem_mark = 0' >"$dir/etc/fapolicyd.conf"
		echo 'allow perm=any all : all' | tee "$dir/etc/fapolicyd.rules" >"$dir/etc/compiled.rules"
		: >"$dir/etc/fapolicyd.trust"
		mount --bind "$dir/etc" /etc/fapolicyd
		mount --bind "$dir/var" /var/lib/fapolicyd
		mount --bind "$dir/run" /run/fapolicyd
	fi
	fapolicyd --debug-deny >"$scratch/fapolicyd.log" 2>&1 &
	fapolicyd_pid=$!
	running[$fapolicyd_pid]=fapolicyd
	guard "$fapolicyd_pid" 120
	wait_until 20 grep -q 'Starting to listen' "$scratch/fapolicyd.log"
}

stop_fapolicyd() {
	stop_pid "$fapolicyd_pid"
	unguard
}
