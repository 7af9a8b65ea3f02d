# SPDX-License-Identifier: LGPL-2.1-or-later
# What the tests of assayd share; sourced after $TEST_LIB. The daemon watches only $MNT, a scratch
# filesystem in a mount namespace of its own, and is killed by its pid should it not end by itself.
# shellcheck shell=bash
# shellcheck source=tests/lib/swtpm.sh
. "$(dirname "$TEST_LIB")/lib/swtpm.sh"

: "${ASSAYD:?}" "${ASSAY:?}" "${STATUS_OF:?}"
LIST=$SCRATCH/list CONTROL=$SCRATCH/control PUBLIC=$SCRATCH/status LOG=$SCRATCH/assayd.log CONF=$SCRATCH/assayd.conf
DAEMON=''

# daemon_test [WITH]...: how each test begins: as root, in namespaces of its own (mounts, processes), with
#   mount[=SIZE]  an ext4 at $MNT, all that assayd is to watch; one of 1 GiB has blocks for files of TiB
#   tpm           a TPM of its own at $TCTI, which it is to use
daemon_test() {
	local with size
	need_root
	need unshare mkfs.ext4 python3
	in_namespaces
	for with; do
		case $with in
		mount | mount=*)
			size=${with#mount}
			scratch_mount mnt ${size:+"${size#=}"}
			MNT=$SCRATCH/mnt
			;;
		tpm) swtpm_begin ;;
		*) fail "daemon_test $with" ;;
		esac
	done
}

# scratch_kind TYPE: an empty filesystem of that type at $SCRATCH/TYPE; false if it cannot be had here. overlay
# is over tmpfs, which must be there.
scratch_kind() {
	local dir=$SCRATCH/$1
	mkdir "$dir"
	case $1 in
	tmpfs) mount -t tmpfs none "$dir" || return 1 ;;
	overlay)
		mkdir -p "$SCRATCH/lower" "$SCRATCH/tmpfs/upper" "$SCRATCH/tmpfs/work"
		mount -t overlay none "$dir" \
			-o "lowerdir=$SCRATCH/lower,upperdir=$SCRATCH/tmpfs/upper,workdir=$SCRATCH/tmpfs/work" || return 1
		;;
	*)
		command -v "mkfs.$1" >/dev/null || return 1
		truncate -s 320M "$SCRATCH/$1.img"
		"mkfs.$1" -q "$SCRATCH/$1.img" >/dev/null
		mount -o loop "$SCRATCH/$1.img" "$dir" || return 1
		;;
	esac
	_mounts+=("$dir")
}

# scratch_kinds: each type that can be had here, ext4 and tmpfs at least; their names are in ${KINDS[@]}.
scratch_kinds() {
	local type
	KINDS=()
	for type in ext4 tmpfs overlay xfs btrfs; do
		if scratch_kind "$type"; then KINDS+=("$type"); else echo "without $type"; fi
	done
	[ "${KINDS[*]:0:2}" = 'ext4 tmpfs' ] || skip 'cannot mount a loop device or tmpfs here'
}

# start_assayd [KEY=VALUE]...: on $MNT, with $TCTI if there is one, until it listens. Who waits for the deadline, and not
# for an answer, waits longer than $PATIENCE. As many work as on a machine with two processors, whatever this one has.
start_assayd() {
	local kv
	rm -f "$CONTROL"
	LOG_FROM=$(($(cat "$LOG" 2>/dev/null | wc -l) + 1))
	{
		printf '%s\n' "list_dir = $LIST" "control_socket = $CONTROL" "public_socket = $PUBLIC" "kernel_list = none" "view_dir = none" \
			'audit_journal = none' 'audit_kernel_log = no' "deadline_ms = $((PATIENCE * 1500))" 'workers = 2'
		[ -z "${MNT:-}" ] || echo "mount = $MNT"
		if [ -n "${TCTI:-}" ]; then
			printf '%s\n' 'anchor = tpm2' "tcti = $TCTI" "exempt_pid = $SWTPM_PID"
		else
			echo 'anchor = none'
		fi
		for kv; do echo "${kv%%=*} = ${kv#*=}"; done
	} | awk -F' = ' '{ last[$1] = NR; line[NR] = $0; key[NR] = $1 }
		END { for (i = 1; i <= NR; i++) if (key[i] ~ /^(mount|exempt_pid)$/ || last[key[i]] == i) print line[i] }' >"$CONF"
	background "$ASSAYD" --config "$CONF" >>"$LOG" 2>&1
	DAEMON=$PID
	guard "$DAEMON"
	wait_for 60 daemon_is_up
}

# upgrade_begin: what is started is a copy, so that it can be replaced as a package does it, by what is $INSTALLED or by
# something else. Whoever has taken over is no job of ours, so all that runs from $SCRATCH is killed at the end.
upgrade_begin() {
	_status=0
	trap '_status=$?; set +e; kill_ours; (exit $_status); _cleanup' EXIT
	INSTALLED=$ASSAYD
	mkdir "$SCRATCH/bin"
	find "${ASSAYD%/*}" -maxdepth 1 -type f -name 'assayd*' -exec cp {} "$SCRATCH/bin" ';'
	ASSAYD=$SCRATCH/bin/assayd
}
# install_assayd FILE: in the place of the program that runs.
install_assayd() {
	cp "$1" "$SCRATCH/bin/new"
	mv "$SCRATCH/bin/new" "$ASSAYD"
}
# has_ended PID: or is a zombie.
has_ended() {
	! grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null
}
kill_ours() {
	local p
	for p in /proc/[0-9]*; do
		[[ $(readlink "$p/exe" 2>/dev/null) != "$SCRATCH"/* ]] || kill -KILL "${p#/proc/}"
	done
}

# guard PID: it is killed when its time is over, a little before meson's; nobody on this machine waits longer.
guard() {
	# Its number may be another's by then: it is known by when it began, too. No "sleep", which would stay when the
	# guard is killed.
	# shellcheck disable=SC2016
	background bash -c 'began() { sed "s/.*) //" "/proc/$1/stat" | cut -d " " -f 20; }
		was=$(began "$1"); exec {never}<> <(:); read -r -t "$2" -u "$never"
		[ "$(began "$1")" != "$was" ] || kill -KILL "$1"' \
		guard "$1" "${DAEMON_SECONDS:-280}" >/dev/null 2>&1
	GUARD=$PID
}

daemon_is_up() {
	kill -0 "$DAEMON" || fail "assayd ended: $(tail -n 5 "$LOG")"
	test -S "$CONTROL"
}

# child_pid ROLE: of the daemon's process with that role.
child_pid() {
	local spawner pid
	for spawner in $(pgrep -P "$DAEMON"); do
		for pid in $(pgrep -P "$spawner"); do
			grep -qz "^assayd: $1\$" "/proc/$pid/cmdline" || continue
			echo "$pid"
			return 0
		done
	done
	return 1
}

# halt PID...: they are stopped, all threads of them. kill -STOP tells one thread, which tells the others when it gets a
# processor; until then these go on, and answer.
halt() {
	local pid
	kill -STOP "$@"
	for pid; do wait_for 10 has_halted "$pid"; done
}
has_halted() {
	! grep -h '^State:' "/proc/$1/task/"*/status | grep -qv 'T (stopped)'
}

# workers: pids of the daemon's, one a line.
workers() {
	pgrep -f '^assayd: worker' -P "$(pgrep -P "$DAEMON" | head -n 1)" || true
}

# stop_assayd: as systemd does; it must end by itself.
stop_assayd() {
	kill -TERM "$DAEMON"
	wait "$DAEMON" || fail "assayd exits $? when it is asked to stop: $(tail -n 5 "$LOG")"
	kill -KILL "$GUARD" # before the number can be another's
	DAEMON=''
}

# status KEY[.KEY]...: of the status reply; strings as they are, all else as JSON.
status() {
	"$STATUS_OF" "$CONTROL" "$1"
}

# status_is EXPRESSION VALUE, for wait_for.
status_is() {
	[ "$(status "$1")" = "$2" ]
}

# log_says PATTERN: assayd has, since it was started last.
log_says() {
	tail -n "+$LOG_FROM" "$LOG" >"$SCRATCH/log-now"
	grep -q -E -- "$1" "$SCRATCH/log-now" && return 0
	tail -n 3 "$SCRATCH/log-now" >&2 # for who waits in vain
	return 1
}

# plain_list SEGMENT: its records by themselves, as the kernel's binary list has them.
plain_list() {
	local written
	written=$(od -A n -t u8 -j 20480 -N 8 "$1")
	tail -c +24577 "$1" | head -c "$written"
}

# entries: the records of all segments as text, one a line.
entries() {
	local s
	for s in "$LIST"/segment-*; do
		plain_list "$s" >"$SCRATCH/plain"
		"$ASSAY" log show "$SCRATCH/plain" >"$SCRATCH/shown" || fail "'$s' cannot be shown"
		cat "$SCRATCH/shown" # whoever reads it may have seen enough
	done
}

# need_measured FILE COUNT: so many records have its name, and the last one has its content of now.
# Looks at the file only after it has counted.
need_measured() {
	local n digest
	entries >"$SCRATCH/entries"
	n=$(grep -c -E "^[0-9]+ [0-9a-f]+ ima-ng sha256:[0-9a-f]+ $1\$" "$SCRATCH/entries" || true)
	[ "$n" = "$2" ] || fail "'$1' is measured $n times, not $2; the list ends: $(tail -n 5 "$SCRATCH/entries" | cut -c 1-200)"
	[ "$n" != 0 ] || return 0
	digest=$(sha256sum "$1")
	grep -E " $1\$" "$SCRATCH/entries" | tail -n 1 | grep -q "sha256:${digest%% *} " ||
		fail "the last record of '$1' is not its content"
}

# state_texts: the state records of all segments, one a line.
state_texts() {
	local text
	entries | awk '$5 == "assay-state" { print $6 }' | sed 's/../\\x&/g' | while read -r text; do
		printf '%b\n' "$text"
	done
}

# state_records WORD: how many state records say it.
state_records() {
	state_texts | grep -c -- "$1" || true
}

# records_are WORD TEST NUMBER WHAT: to wait for, as records come behind what they tell of; WHAT is not so if they do not.
records_are() {
	test "$(state_records "$1")" "$2" "$3"
}

# The whole list replays to the PCRs that the TPM has now. What is measured for nobody, such as files of exempt
# processes, may come between the two.
need_proved() {
	wait_for 20 is_proved
}

is_proved() {
	"$ASSAY" status --control "$CONTROL" --pcrs >"$SCRATCH/pcrs"
	expect 0 "$ASSAY" log verify --pcrs "$SCRATCH/pcrs" --ignore-violations "$(newest)"
	grep -q -E '^PCR 10: reached after entry [0-9]+; all of its [0-9]+ entries are proved' <<<"$OUT" || {
		echo "$OUT" >&2
		return 1
	}
}

newest() {
	find "$LIST" -name 'segment-*' | sort | tail -n 1
}
