# SPDX-License-Identifier: LGPL-2.1-or-later
# The sections of bench/run.sh about lists and policies. Sourced by it.
# shellcheck shell=bash disable=SC2154,SC2034

bench_policy() {
	local i
	for ((i = 0; i < rounds; i++)); do
		note ns "$("$build/bench/bench_policy" | awk '/^policy site/ && $4 == 100 { print $6 }')"
	done
	row "one event against a policy of 100 rules: ns, / 1 us" "$(of ns)" 1000 \
		"$(calc "$(of ns) / 1000")" "<= 1"
}

# make_list RECORDS: $scratch/list.bin, its PCR values for us (.pcrs) and for evmctl (.sha1, .sha256).
make_list() {
	local bank file=$scratch/list.bin
	"$build/bench/bench_list" "$1" "$file" >"$file.pcrs"
	for bank in sha1 sha256; do
		awk -v b=$bank '$1 == b { h = toupper($3); gsub(/../, "& ", h)
			zero = h; gsub(/[0-9A-F]/, "0", zero)
			for (i = 0; i < 24; i++) printf "PCR-%02d: %s\n", i, i == $2 ? h : zero }' \
			"$file.pcrs" >"$file.$bank"
	done
}

# timed NAME COMMAND...: notes NAME (ms) and NAME.kib; the command must succeed.
timed() {
	local name=$1 ms kib status
	shift
	read -r ms kib status < <("$here/measure" "$@")
	[ "$status" = 0 ] || { echo "bench: '$*' exits $status" >&2 && exit 1; }
	note "$name" "$ms"
	note "$name.kib" "$kib"
}

bench_verify() {
	local records=1000000 i file=$scratch/list.bin
	[ "$quick" = no ] || records=100000
	make_list $records
	for ((i = 0; i < rounds; i++)); do
		timed one --cpus 0 "$build/assay" log verify --jobs 1 --pcrs "$file.pcrs" "$file"
		timed two "$build/assay" log verify --pcrs "$file.pcrs" "$file"
		if command -v evmctl >/dev/null; then
			timed evmctl --cpus 0 evmctl ima_measurement --pcrs "sha1,$file.sha1" \
				--pcrs "sha256,$file.sha256" "$file"
		fi
	done
	if of evmctl >/dev/null; then
		row "log verify, $records entries, two banks, one core: ms, evmctl / ours" "$(of one)" \
			"$(of evmctl)" "$(calc "$(of evmctl) / $(of one)")" ">= 8"
		row "  the same on all cores" "$(of two)" "$(of evmctl)" \
			"$(calc "$(of evmctl) / $(of two)")" "> $(calc "$(of evmctl) / $(of one)")"
	else
		absent "log verify against evmctl" "evmctl is not installed"
	fi
	row "  memory beyond the mapped file: MiB, / 16 MiB" "$(calc "$(of two.kib) / 1024")" 16 \
		"$(calc "$(of two.kib) / 16384")" "<= 1"
}

# memory_kib FIELD...: of assayd, the fields of /proc/PID/status added up.
memory_kib() {
	local field sum=0
	for field; do
		sum=$((sum + $(awk -v f="$field:" '$1 == f { print $2 }' "/proc/$assayd_pid/status")))
	done
	echo $sum
}

# The current segment's file: the newest.
segment() {
	find "$list" -type f -name '*segment*' -printf '%T@ %p\n' | sort -g | tail -n 1 | cut -d' ' -f2-
}

since_ms() {
	calc "($(date +%s%N) - $1) / 1000000"
}

# one_size FILES: a daemon that sees so many files for the first time, is asked for the list, restarts.
one_size() {
	local files=$1 before mapped after start ms file bytes
	fresh_mount $((200 + files / 128))M -N $((files + 2000)) -O ^has_journal
	mkdir "$mnt/files"
	"$client" make "$mnt/files" "$files" 64
	start_tpm
	patience=$((300 + files / 500))
	start_assayd
	before=$(memory_kib RssAnon) mapped=$(memory_kib RssFile RssShmem)
	read -r ms _ < <("$client" all "$mnt/files" 16 open)
	note measure "$ms"
	after=$(memory_kib RssAnon)
	file=$(segment)
	bytes=$("$build/assay" log stat --json "$file" | grep -o -E '"bytes": *[0-9]+' | grep -o -E '[0-9]+')
	note anon "$(calc "($after - $before) * 1024 / $files")"
	note resident "$(calc "($(memory_kib RssFile RssShmem) - $mapped) * 1024 / $bytes")"
	note bytes "$bytes"
	stop_assayd
	timed verify "$build/assay" log verify --tpm --tcti "$tcti" "$file"
	start=$(date +%s%N)
	start_assayd_again
	note restart "$(since_ms "$start")"
	stop_assayd
	stop_tpm
}

bench_sizes() {
	local files i sizes=(1500 7000 63000 1000000) times
	[ "$quick" = no ] || sizes=(1500 7000 63000)
	for files in "${sizes[@]}"; do
		forget
		times=$rounds
		[ "$files" -lt 1000000 ] || times=1
		for ((i = 0; i < times; i++)); do
			one_size "$files"
		done
		row "a list of $files files: ms to measure ($times rounds)" "$(of measure)" - - -
		row "  ms to verify" "$(of verify)" - - -
		row "  ms to restart" "$(of restart)" - - -
		row "  bytes of list, and mapped bytes resident for each" "$(of bytes)" - "$(of resident)" "<= 1.2"
		row "  memory of the daemon for each known file: bytes" "$(of anon)" 200 \
			"$(calc "$(of anon) / 200")" "<= 1"
	done
}
