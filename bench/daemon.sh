# SPDX-License-Identifier: LGPL-2.1-or-later
# The sections of bench/run.sh that run daemons: opens, first opens, a slow TPM. Sourced by it.
# shellcheck shell=bash disable=SC2154

# ---- a file that is known already -------------------------------------------------------------------

# known_round NAME OPENS: three samples, of what is known from the first time on.
known_round() {
	"$client" open "$mnt/file" 1 >/dev/null
	"$client" exec "$mnt/true" 1 >/dev/null
	note "$1.root" "$("$client" open "$mnt/file" "$2")"
	note "$1.user" "$(as_user "$client" open "$mnt/file" "$2")"
	note "$1.exec" "$("$client" exec "$mnt/true" 200)"
}

known_rows() {
	local who bare ours fa
	for who in root user exec; do
		bare=$(of bare.$who) ours=$(of ours.$who)
		if [ $who = exec ]; then
			row "exec of a known program: ns, / without" "$ours" "$bare" \
				"$(calc "$ours / $bare")" "<= 1.05"
		else
			row "open+close of a known file, as $who: ns, / without" "$ours" "$bare" \
				"$(calc "$ours / $bare")" "<= 1.25"
			row "  the same: ns, - without" "$ours" "$bare" "$(calc "$ours - $bare")" "<= 150"
		fi
		if fa=$(of fapolicyd.$who); then
			row "  beside it fapolicyd: ns, / without" "$fa" "$bare" "$(calc "$fa / $bare")" -
		else
			absent "  beside it fapolicyd" "it is not installed"
		fi
	done
}

bench_open() {
	local i
	fresh_mount 64M
	chmod 755 "$mnt"
	head -c 16384 /dev/urandom >"$mnt/file"
	printf 'int main(void) { return 0; }\n' >"$scratch/true.c"
	cc -O2 -static -o "$mnt/true" "$scratch/true.c"
	start_tpm
	for ((i = 0; i < rounds; i++)); do
		known_round bare 20000
		start_assayd
		known_round ours 20000
		stop_assayd
		if command -v fapolicyd >/dev/null && start_fapolicyd; then
			known_round fapolicyd 1000
			stop_fapolicyd
		fi
	done
	stop_tpm
	known_rows
}

# ---- first opens ------------------------------------------------------------------------------------

# all_files THREADS WHAT: milliseconds for every file of $mnt/files, once.
all_files() {
	"$client" all "$mnt/files" "$1" "$2" | cut -d' ' -f1
}

bench_cold() {
	local files=5000 threads i
	[ "$quick" = no ] || files=1000
	fresh_mount 256M
	mkdir "$mnt/files"
	"$client" make "$mnt/files" $files 16384
	for ((i = 0; i < rounds; i++)); do
		for threads in 16 1; do
			cold
			note other.$threads "$(all_files $threads digest)"
			cold
			start_tpm
			start_assayd anchor_mode=group
			note ours.$threads "$(all_files $threads read)"
			stop_assayd
			stop_tpm
		done
	done
	row "first open of $files cold files of 16 KiB, 16 threads: ms, / client digests" \
		"$(of ours.16)" "$(of other.16)" "$(calc "$(of ours.16) / $(of other.16)")" "<= 2.0"
	row "  the same with one thread" \
		"$(of ours.1)" "$(of other.1)" "$(calc "$(of ours.1) / $(of other.1)")" -
}

# Whoever opens what can be executed is asked about, where a policy of one's own is judged exactly (decision 61).
bench_openers() {
	local files=5000 mode threads i policy=$scratch/policy
	[ "$quick" = no ] || files=1000
	echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$policy"
	fresh_mount 256M
	mkdir "$mnt/files"
	"$client" make "$mnt/files" $files 4096
	for ((i = 0; i < rounds; i++)); do
		for mode in 755 644; do
			find "$mnt/files" -type f -exec chmod $mode {} +
			for threads in 16 1; do
				start_tpm
				start_assayd anchor_mode=ordered
				note $mode.$threads "$(all_files $threads read)"
				stop_assayd
				stop_tpm
			done
		done
	done
	for threads in 16 1; do
		row "first open of $files files with an execute bit, $threads threads: ms, / without" "$(of 755.$threads)" \
			"$(of 644.$threads)" "$(calc "$(of 755.$threads) / $(of 644.$threads)")" -
	done
	row "  so one question about an opener, with one thread: us" "$(calc "($(of 755.1) - $(of 644.1)) * 1000 / $files")" - - -
}

# digest_round NAME: MB/s of the first open of $mnt/big by a daemon that has not seen it.
digest_round() {
	start_tpm
	start_assayd
	note "$1" "$(calc "$size / $("$client" once "$mnt/big") / 1000")"
	stop_assayd
	stop_tpm
}

bench_digest() {
	local i size=1073741824 start
	fresh_mount 1200M
	for ((i = 0; i < rounds; i++)); do
		rm -f "$mnt/big"
		head -c $size /dev/zero >"$mnt/big" # cached, and new to the daemon
		sync -f "$mnt"
		digest_round ours
		note other "$(openssl speed -evp sha256 -bytes 65536 -seconds 2 2>/dev/null |
			awk 'tolower($1) ~ /^sha256/ { sub("k", "", $NF); print $NF / 1000 }')"
	done
	for ((i = 0; i < (rounds + 1) / 2; i++)); do
		cold
		digest_round cold
		cold
		start=$(date +%s%N)
		cat "$mnt/big" >/dev/null
		note cat "$(calc "$size / $(since_ms "$start") / 1000")"
	done
	row "first open of a file of 1 GiB: MB/s, / openssl speed sha256, 64 KiB" "$(of ours)" \
		"$(of other)" "$(calc "$(of ours) / $(of other)")" ">= 0.95"
	row "  the same cold: MB/s, / cat" "$(of cold)" "$(of cat)" "$(calc "$(of cold) / $(of cat)")" -
}

# ---- a slow TPM -------------------------------------------------------------------------------------

# extend_ms: what an extend took so far, on average, as assayd waited for it.
extend_ms() {
	"$build/assay" status --control "$scratch/control" --openmetrics |
		awk '/^assay_extends_total/ { n = $2 } /^assay_extend_seconds_total/ { s = $2 } END { print 1000 * s / n }'
}

bench_group() {
	local delay_ms=10 files=1000 mode i ms longest bound
	[ "$quick" = no ] || files=200
	fresh_mount 256M
	for ((i = 0; i < rounds; i++)); do
		for mode in group each; do
			rm -rf "$mnt/files" && mkdir "$mnt/files"
			"$client" make "$mnt/files" $files 4096
			start_tpm $delay_ms
			start_assayd anchor_mode=$mode
			read -r ms longest _ < <("$client" all "$mnt/files" 32 open)
			note extend "$(extend_ms)"
			stop_assayd
			stop_tpm
			note $mode "$ms"
			note $mode.longest "$longest"
		done
	done
	row "$files first opens, 32 threads, extends of $delay_ms ms: ms, each / group" "$(of group)" \
		"$(of each)" "$(calc "$(of each) / $(of group)")" ">= 10"
	bound=$(calc "2 * $(of extend) + 0.5")
	row "  longest wait in group mode: ms, / two extends as they were, and the gather pause" \
		"$(of group.longest)" "$bound" "$(calc "$(of group.longest) / $bound")" "<= 1.1"
}
