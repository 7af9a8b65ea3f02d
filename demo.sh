#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Shows the main job on this machine, in under three minutes: measure what runs, anchor it in a TPM,
# prove it to somebody else. Measures only, refuses nothing; leaves the machine as it was.
set -u
cd "$(dirname "$(readlink -f "$0")")" || exit 2

usage() {
	cat <<'EOF'
usage: sudo ./demo.sh [--hardware-tpm] [--keep]

  --hardware-tpm  use this machine's TPM instead of a software one. What is extended into a PCR
                  cannot be undone before the next reboot
  --keep          keep the list, the quote and the key, to play with them
EOF
}

hardware=no keep=no
for argument; do
	case $argument in
	--hardware-tpm) hardware=yes ;;
	--keep) keep=yes ;;
	-h | --help) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
done
[ "$(id -u)" = 0 ] || {
	echo "demo.sh looks at every file that this machine opens, so it must be root: sudo ./demo.sh" >&2
	exit 2
}

started=$SECONDS step=0 told=no
bold='' plain=''
[ ! -t 1 ] || bold=$(printf '\033[1m') plain=$(printf '\033[0m')
bin=$PWD/build-demo
work=$(mktemp -d /var/tmp/assay-demo.XXXXXX) || exit 2
# The list is in memory, where the policy does not look: looking at it shall not make it longer.
quiet=$(mktemp -d /dev/shm/assay-demo.XXXXXX 2>/dev/null) || quiet=$work
chmod 711 "$work"
assayd_pid='' tpm_pid='' watchdog_pid='' pulse_pid=''
export LC_ALL=C

# ---- words ------------------------------------------------------------------------------------------

heading() {
	step=$((step + 1))
	printf '\n%s%d. %s%s\n' "$bold" $step "$*" "$plain"
}

say() {
	printf '   %s\n' "$@"
}

# show COMMAND...: prints it the way one would type it, runs it, and indents what it says.
show() {
	local words="$*"
	words=${words//$bin\//} words=${words//$work\//} words=${words//$quiet\//}
	printf '   $ %s\n' "$words"
	"$@" 2>&1 | sed "s|$work/||g; s|$quiet/||g; s/^/     /"
	return "${PIPESTATUS[0]}"
}

tell_packages() {
	told=yes
	[ ! -s "$work/installed" ] || say "" "These packages were installed. To remove them again:" \
		"sudo apt-get purge $(tr '\n' ' ' <"$work/installed")"
}

give_up() {
	printf '\ndemo.sh: %s\n' "$*" >&2
	[ ! -s "$work/assayd.log" ] || tail -n 15 "$work/assayd.log" >&2
	exit 1
}

# ---- leaving no trace -------------------------------------------------------------------------------

# stop PID SECONDS: asks it to end, then makes it. All but "sleep" here is bash's own.
stop() {
	local i
	[ -n "$1" ] && kill -TERM "$1" 2>/dev/null || return 0
	for ((i = $2 * 10; i > 0; i--)); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

stop_all() {
	stop "$assayd_pid" 10
	assayd_pid=''
	stop "$pulse_pid" 2
	[ -z "$watchdog_pid" ] || kill -KILL "$watchdog_pid" 2>/dev/null
	stop "$tpm_pid" 3
	wait 2>/dev/null
	pulse_pid='' watchdog_pid='' tpm_pid=''
}

finish() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP
	stop_all
	[ $told = yes ] || tell_packages
	if [ $keep = yes ] && [ -d "$work/evidence" ]; then
		find "$work" -mindepth 1 -maxdepth 1 ! -name evidence -exec rm -rf {} +
	else
		rm -rf "$work"
	fi
	[ "$quiet" = "$work" ] || rm -rf "$quiet"
	[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$bin" 2>/dev/null
	exit $status
}
trap finish EXIT
trap 'printf "\ninterrupted: stopping what was started\n"; exit 130' INT
trap 'exit 143' TERM HUP

# assayd holds the opens of the whole machine. Should it ever stop answering, the watchdog kills it, and
# the kernel lets everybody go on. The watchdog is forked right before (it also ends after half a minute
# of silence), opens no file and starts no program; the pulse opens a file again and again, and tells it.
start_watchdog() {
	mkfifo "$work/pulse" && exec {pulse}<>"$work/pulse" || give_up "cannot make a pipe in $work"
	(
		trap - EXIT
		trap '' INT TERM
		target='' end=$((SECONDS + 600))
		while [ $SECONDS -lt $end ] && read -r -t 30 -u "$pulse" word value; do
			[ "$word" != watch ] || target=$value
		done
		[ -z "$target" ] || kill -KILL "$target"
	) &
	watchdog_pid=$!
	disown "$watchdog_pid"
}

watch_over() {
	echo "watch $1" >&"$pulse"
	(
		trap - EXIT
		trap 'exit 0' TERM
		trap '' INT
		while echo beat >"$work/canary" && echo beat >&"$pulse"; do sleep 1; done
	) &
	pulse_pid=$!
}

# ---- the parts --------------------------------------------------------------------------------------

build() {
	{ [ -f "$bin/build.ninja" ] || meson setup --buildtype=release -Dtests=disabled "$bin" >"$work/build.log" 2>&1; } &&
		ninja -C "$bin" assay assayd bench/bench_files >>"$work/build.log" 2>&1 && return
	tail -n 20 "$work/build.log"
	give_up "the build failed"
}

start_tpm() {
	if [ $hardware = yes ]; then
		[ -e /dev/tpmrm0 ] || give_up "this machine has no /dev/tpmrm0"
		say "This machine's own TPM. PCR 10 will be extended; only a reboot undoes that. Until then another" \
			"list that leads to it, such as the kernel's own, does not match it any more." \
			"Ctrl-C in the next ten seconds stops here."
		sleep 10
		tcti=device:/dev/tpmrm0
		return
	fi
	mkdir "$work/tpm"
	# A signal to all of us (a closed terminal, timeout) shall not take the TPM from under assayd.
	setsid swtpm socket --tpm2 --tpmstate "dir=$work/tpm" --flags not-need-init,startup-clear \
		--server "type=unixio,path=$work/tpm/sock" --ctrl "type=unixio,path=$work/tpm/sock.ctrl" \
		>"$work/tpm.log" 2>&1 &
	tpm_pid=$!
	wait_for 60 test -S "$work/tpm/sock.ctrl" || give_up "the software TPM did not start"
	tcti=swtpm:path=$work/tpm/sock
	say "A software TPM (swtpm), so that nothing stays in the machine's own."
}

# wait_for SECONDS COMMAND...
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# assayd has its socket, or has ended, and its log says why.
assayd_decided() {
	[ -S "$work/control" ] || ! kill -0 "$assayd_pid"
}

start_assayd() {
	start_watchdog
	{
		printf '%s\n' 'policy = tcb' "mount = /" "list_dir = $quiet/list" "tcti = $tcti" \
			"control_socket = $work/control" "public_socket = none" "view_dir = none"
		[ -z "$tpm_pid" ] || echo "exempt_pid = $tpm_pid"
		echo "exempt_pid = $watchdog_pid"
	} >"$work/assayd.conf"
	mkdir -m 700 "$quiet/list"
	setsid "$bin/assayd" --config "$work/assayd.conf" >"$work/assayd.log" 2>&1 &
	assayd_pid=$!
	watch_over $assayd_pid
	wait_for 180 assayd_decided # it measures what runs already for a minute at most
	[ -S "$work/control" ] || give_up "assayd did not start"
}

# entries: how many records the list has now.
entries() {
	"$bin/assay" status --openmetrics --control "$work/control" |
		awk '$1 == "assay_list_records_total" { print $2 }'
}

# segment: the file that the list is in; a list is a chain of them, one for each start of the TPM.
segment() {
	find "$quiet/list" -name 'segment-*' -size +0 | sort | tail -n 1
}

# as_nobody ARGUMENT...: assay, by a user who can read the evidence and nothing else of ours.
as_nobody() {
	(
		cd "$work/evidence" || exit 2
		printf '   nobody$ assay %s\n' "$*"
		setpriv --reuid 65534 --regid 65534 --clear-groups env -i ./assay "$@" 2>&1 | sed 's/^/     /'
		exit "${PIPESTATUS[0]}"
	)
}

# opens: what an open and close of a known file costs (ns), and of a new one of 16 KiB among 100 (us): the best of five
# times, as what else this machine does only makes it longer.
opens() {
	local files i ms
	for ((i = 0; i < 5; i++)); do
		files=$work/files.$1.$i
		mkdir "$files" && "$bin/bench/bench_files" make "$files" 100 16384
		read -r ms _ < <("$bin/bench/bench_files" all "$files" 1 read)
		echo "$("$bin/bench/bench_files" open "$files/f0000000" 2000) $ms"
	done | awk 'NR == 1 || $1 < known { known = $1 } NR == 1 || $2 < new { new = $2 }
		END { printf "%.0f %.0f\n", known, new * 1000 / 100 }'
}

# run_real WHAT COMMAND...: a program as anybody runs it, and how the list grew by it.
run_real() {
	local what=$1 before after
	shift
	before=$(entries)
	"$@" >/dev/null 2>&1
	after=$(entries) # on a line of its own: bash 5.2 loses a trap that comes inside $(($(...)))
	printf '   %-44s %6d new entries, %d in all\n' "$what" $((after - before)) "$after"
}

# measured NAME: how many entries there are of files of that name.
measured() {
	"$bin/assay" log show "$(segment)" | grep -c "/$1\$"
}

run_programs() {
	local first
	mkdir "$work/hello"
	printf '%s\n' '#include <stdio.h>' 'int main(void)' '{' '	puts("hello, world");' '	return 0;' '}' \
		>"$work/hello/hello.c"
	run_real "a shell" bash -c 'true'
	run_real "ls of /usr" ls /usr
	run_real "a compiler, for a hello world" gcc -o "$work/hello/hello" "$work/hello/hello.c"
	run_real "the hello world" "$work/hello/hello"
	first=$(measured hello)
	run_real "the hello world once more" "$work/hello/hello"
	say "(entries of 'hello' itself: $first after the first time, $(measured hello) after the second)"
	run_real "apt-get --version" apt-get --version
	run_real "python3, with the json module" python3 -c 'import json'
}

heading "What is needed"
tools/install-packages --record "$work/installed" build demo || give_up "packages could not be installed"
if [ -s "$work/installed" ]; then
	say "New on this machine: $(tr '\n' ' ' <"$work/installed")"
else
	say "All Debian packages that it needs are installed."
fi
build
say "Built: build-demo/assay and build-demo/assayd."

heading "A TPM: a chip with a number that can be added to, and not turned back"
start_tpm
say "It makes a key that never leaves it, to sign with. Others get the public half."
show "$bin/assay" tpm create-ak --tcti "$tcti" "$work/ak" || give_up "no key"

heading "assayd starts to measure this machine"
start_assayd
say "From now on each file that is executed, mapped as a program, or read by root is digested once," \
	"written into a list, and added to the TPM's PCR 10 before the program goes on."

heading "Real programs"
say "What else this machine does meanwhile has its entries too: they are in the totals. A program that ran when" \
	"assayd started was measured then, so it has no new entry."
already=$(entries)
run_programs

heading "The list so far: one entry a file, the newest last"
say "Of all that this machine has opened since, the programs from above (e3b0c442... is an empty file: what" \
	"a linker begins with):"
"$bin/assay" log show "$(segment)" | awk -v already="$already" '
	NR <= already { next }
	$3 == "ima-ng" && $5 ~ "/(bash|ls|cc1|[^/]*-(gcc|as|ld)[-.0-9a-z]*|hello|hello[.]c|apt-get|python3[.0-9]*)$" {
		print substr($4, 1, 23) "...", $5
	}' | tail -n 8 | sed 's/^/     /'

heading "Does the list tell what the TPM was told?"
say "The TPM holds one number for it all, PCR 10. Adding up the list again must give the same."
"$bin/assay" status --control "$work/control" --pcrs >"$work/pcrs" || give_up "assayd does not answer"
sed -e 's/^\(.\{60\}\).\{1,\}/\1.../' -e 's/^/     /' "$work/pcrs"
say "A violation is an entry of a file that somebody could write to while it was read, such as a log: it" \
	"has no digest. A busy machine has some; --ignore-violations says that they are expected."
show "$bin/assay" log verify --ignore-violations --pcrs "$work/pcrs" "$(segment)" ||
	give_up "the list does not match"

heading "Proof for somebody else"
say "The TPM signs PCR 10, and PCRs 0 to 9, which tell how the machine booted, together with a number" \
	"that the other side chose, so that the answer is fresh."
pcrs=sha256:0,1,2,3,4,5,6,7,8,9,10
nonce=$(od -A n -N 16 -t x1 /dev/urandom | tr -d ' \n')
show "$bin/assay" quote --control "$work/control" --ak "$work/ak" --nonce "$nonce" \
	--pcrs "$pcrs" --out "$work/quote" || give_up "no quote"
mkdir -m 755 "$work/evidence"
cp "$bin/assay" "$work/quote" "$work/ak.pub" "$work/evidence/"
cp "$(segment)" "$work/evidence/list"
chmod 644 "$work/evidence"/{quote,ak.pub,list}
say "" "The user 'nobody' now has the list, the quote and the public half of the key, and nothing else:"
as_nobody quote verify --ak ak.pub --nonce "$nonce" --pcr-list "$pcrs" --ignore-violations --log list quote ||
	give_up "the evidence does not hold"

heading "Somebody changes one entry"
say "In a copy of the list 'hello' is called 'jello', so that nobody shall know that it ran."
LC_ALL=C sed 's|/hello/hello\x00|/hello/jello\x00|' "$work/evidence/list" >"$work/evidence/forged"
cmp -s "$work/evidence/list" "$work/evidence/forged" && give_up "there was no such entry"
as_nobody quote verify --ak ak.pub --nonce "$nonce" --pcr-list "$pcrs" --ignore-violations --log forged quote &&
	give_up "the forged list was believed"
say "Refused, and the entry is named."

heading "What it cost"
read -r known_with new_with < <(opens with)
# assayd is several processes, of one session.
cat /proc/[0-9]*/stat 2>/dev/null | awk -v session="$assayd_pid" '
	{ pid = $1; sub(/.*\) /, "") }
	$4 == session { print pid, $12 + $13 }' >"$work/processes"
memory=$(while read -r pid _; do cat "/proc/$pid/smaps_rollup" 2>/dev/null; done <"$work/processes" |
	awk '$1 == "Pss:" { sum += $2 } END { printf "%.1f", sum / 1024 }')
cpu=$(awk -v hz="$(getconf CLK_TCK)" '{ sum += $2 } END { printf "%.1f", sum / hz }' "$work/processes")
all=$(entries)
stop_all
read -r known_without new_without < <(opens without)
say "entries in the list                  $all" \
	"memory of assayd                     $memory MiB, in $(wc -l <"$work/processes") processes; $cpu s of processor time" \
	"open of a file that is known         $known_with ns; without assayd $known_without ns" \
	"first open of a new file of 16 KiB   $new_with us; without assayd $new_without us"

heading "That was it, in $((SECONDS - started)) seconds"
changed='nothing is changed'
[ ! -s "$work/installed" ] || changed='nothing is changed but the packages below'
[ $hardware = no ] || changed+=", and in the TPM PCR 10, until the next reboot"
say "Nothing is left running, and $changed. build-demo/ stays, for the next time." "To go on:" "" \
	"build-demo/assay --help                 what there is; man/ has a page for each" \
	"build-demo/assay policy show tcb        the policy that was in force" \
	"build-demo/assay policy explain --help  why a file is measured, or is not" \
	"sudo ninja -C build-demo install        to stay; then, on a machine with systemd and a TPM of its own," \
	"sudo systemctl enable --now assayd      and see man/assayd.8"
if [ $keep = yes ]; then
	say "" "Kept: list, quote, ak.pub, and the list that was forged. Try it yourself, and rm -r $work then:" \
		"cd $work/evidence && ./assay log show list" \
		"./assay quote verify --ak ak.pub --nonce $nonce --pcr-list $pcrs --ignore-violations --log list quote"
fi
tell_packages
