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

started=$SECONDS step=0
bold='' plain=''
[ ! -t 1 ] || bold=$(printf '\033[1m') plain=$(printf '\033[0m')
bin=$PWD/build-demo
work=$(mktemp -d /var/tmp/assay-demo.XXXXXX) || exit 2
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
	words=${words//$bin\//} words=${words//$work\//}
	printf '   $ %s\n' "$words"
	"$@" 2>&1 | sed "s|$work/||g; s/^/     /"
	return "${PIPESTATUS[0]}"
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
	if [ $keep = yes ] && [ -d "$work/evidence" ]; then
		rm -rf "$work/tpm" "$work/pulse" "$work/canary" "$work/list"
	else
		rm -rf "$work"
	fi
	[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$bin" 2>/dev/null
	exit $status
}
trap finish EXIT
trap 'printf "\ninterrupted: stopping what was started\n"; exit 130' INT
trap 'exit 143' TERM HUP

# assayd holds the opens of the whole machine. Should it ever stop answering, the watchdog kills it, and
# the kernel lets everybody go on. The watchdog is forked before, opens no file and starts no program;
# the pulse opens a file again and again, and tells it.
start_watchdog() {
	mkfifo "$work/pulse" && exec {pulse}<>"$work/pulse" || give_up "cannot make a pipe in $work"
	(
		trap - EXIT
		trap '' INT TERM
		target='' end=$((SECONDS + 170))
		while [ $SECONDS -lt $end ] && read -r -t 10 -u "$pulse" word value; do
			[ "$word" != watch ] || target=$value
		done
		[ -z "$target" ] || kill -KILL "$target"
	) &
	watchdog_pid=$!
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
	{ [ -f "$bin/build.ninja" ] || meson setup --buildtype=release "$bin" >"$work/build.log" 2>&1; } &&
		ninja -C "$bin" assay assayd >>"$work/build.log" 2>&1 && return
	tail -n 20 "$work/build.log"
	give_up "the build failed"
}

start_tpm() {
	if [ $hardware = yes ]; then
		[ -e /dev/tpmrm0 ] || give_up "this machine has no /dev/tpmrm0"
		say "This machine's own TPM. PCR 10 will be extended; only a reboot undoes that." \
			"Ctrl-C in the next ten seconds stops here."
		sleep 10
		tcti=device:/dev/tpmrm0
		return
	fi
	mkdir "$work/tpm"
	swtpm socket --tpm2 --tpmstate "dir=$work/tpm" --flags not-need-init,startup-clear \
		--server "type=unixio,path=$work/tpm/sock" --ctrl "type=unixio,path=$work/tpm/sock.ctrl" \
		>"$work/tpm.log" 2>&1 &
	tpm_pid=$!
	wait_for 10 test -S "$work/tpm/sock" || give_up "the software TPM did not start"
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
