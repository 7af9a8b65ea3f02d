# SPDX-License-Identifier: LGPL-2.1-or-later
# What the shell tests share; bash. Sourced first: . "$TEST_LIB"
# Makes $SCRATCH, a folder that goes when the test ends, with what was started and mounted by it.
# shellcheck shell=bash
set -eu

SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/assay-test.XXXXXX")
_pids=() _mounts=()
_cleanup() {
	local status=$? i
	trap - EXIT
	for ((i = ${#_pids[@]} - 1; i >= 0; i--)); do
		# A pid that was waited for may be somebody else's by now.
		[[ " $(jobs -p | tr '\n' ' ') " = *" ${_pids[i]} "* ]] || continue
		kill -KILL "${_pids[i]}" 2>/dev/null || true
		wait "${_pids[i]}" 2>/dev/null || true
	done
	for ((i = ${#_mounts[@]} - 1; i >= 0; i--)); do
		umount -l "${_mounts[i]}" 2>/dev/null || true
	done
	[ "$status" = 0 ] || [ "$status" = 77 ] || tell_trouble
	rm -rf "$SCRATCH"
	exit $status
}
tell_trouble() {
	local file
	for file in waited assayd.log; do
		[ ! -s "$SCRATCH/$file" ] || { echo "$file:" && tail -n 15 "$SCRATCH/$file"; }
	done
}
trap _cleanup EXIT
trap 'exit 130' INT TERM HUP

# fail MESSAGE: the test ends here, red; also from within $(...) or a pipeline, whose exit nobody looks at.
fail() {
	local i=1
	while [ "${BASH_SOURCE[i]##*/}" = lib.sh ]; do i=$((i + 1)); done
	echo "FAILED (${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]}): $*" >&2
	[ "$BASHPID" = $$ ] || kill -TERM $$
	exit 1
}

# skip WHY: the test cannot run on this machine.
skip() {
	echo "skipped: $*"
	exit 77
}

need_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

# need COMMAND...: programs that the test uses.
need() {
	local c
	for c; do
		command -v "$c" >/dev/null || skip "'$c' is not installed"
	done
}

# expect STATUS COMMAND...: runs it; stdout is in $OUT, stderr in $ERR.
expect() {
	local want=$1 got=0
	shift
	"$@" >"$SCRATCH/stdout" 2>"$SCRATCH/stderr" || got=$?
	export OUT ERR
	OUT=$(tr -d '\0' <"$SCRATCH/stdout") ERR=$(tr -d '\0' <"$SCRATCH/stderr")
	[ "$got" = "$want" ] ||
		fail "'$*' exits $got, not $want; stdout: '${OUT:0:2000}' stderr: '${ERR:0:2000}'"
}

# expect_text TEXT PATTERN: an extended regular expression that some line matches.
expect_text() {
	grep -q -E -- "$2" <<<"$1" || fail "'$2' is not in: ${1:0:2000}"
}

# in_namespaces "$@": runs the script again in a private mount namespace, once, and in a PID namespace, so that who looks
# at all processes and their mounts does not look at other tests. Where "/" is no mount point (a chroot) its
# propagation cannot be changed; then only what is below $SCRATCH is private.
in_namespaces() {
	[ "${ASSAY_TEST_NAMESPACE:-}" = 1 ] && return
	local status=0 how=(--propagation private)
	[ -e /proc/self/mountinfo ] || skip "needs /proc"
	if ! unshare -m true 2>/dev/null; then
		how=(--propagation unchanged)
		unshare -m "${how[@]}" true || skip "cannot make a mount namespace here"
		mount --bind "$SCRATCH" "$SCRATCH" || skip "cannot mount here"
		_mounts+=("$SCRATCH")
		mount --make-private "$SCRATCH"
		chmod 755 "$SCRATCH" # as ordinary users go there, too
		export TMPDIR=$SCRATCH
	fi
	how+=(--pid --fork --kill-child --mount-proc)
	unshare -m "${how[@]}" true || skip "cannot make a PID namespace here"
	ASSAY_TEST_NAMESPACE=1 unshare -m "${how[@]}" "$0" "$@" || status=$?
	exit $status
}

# scratch_mount NAME [SIZE]: an ext4 on a loop device at $SCRATCH/NAME.
scratch_mount() {
	truncate -s "${2:-64M}" "$SCRATCH/$1.img"
	mkfs.ext4 -q -F "$SCRATCH/$1.img"
	mkdir "$SCRATCH/$1"
	mount -o loop "$SCRATCH/$1.img" "$SCRATCH/$1" || skip "cannot mount a loop device here"
	_mounts+=("$SCRATCH/$1")
}

# background COMMAND...: started, killed at the end of the test; its pid is in $PID.
background() {
	"$@" &
	PID=$!
	_pids+=("$PID")
}

# How long something may take that otherwise never comes: nobody who is answered waits so long, however slow this
# machine is and whatever else it does. "timeout $PATIENCE COMMAND" asks whether it ends at all.
PATIENCE=${PATIENCE:-60}

# wait_for SECONDS COMMAND...: until it succeeds; fails when the time is over, which is $PATIENCE at least.
wait_for() {
	local began=$SECONDS end=$((SECONDS + ($1 > PATIENCE ? $1 : PATIENCE))) pause=0.02
	shift
	until "$@" 2>"$SCRATCH/waited"; do
		[ $SECONDS -lt $end ] || fail "not in time: '$*': $(head -c 1000 "$SCRATCH/waited")"
		sleep $pause
		[ $SECONDS -lt $((began + 1)) ] || pause=0.1 # it is another test's processor, too
	done
}

# start_swtpm [NAME]: a TPM 2.0 of its own; the TCTI string is in $TCTI, its pid in $PID.
start_swtpm() {
	local dir=$SCRATCH/${1:-swtpm}
	need swtpm
	mkdir "$dir"
	background swtpm socket --tpm2 --tpmstate "dir=$dir" --flags not-need-init,startup-clear \
		--server "type=unixio,path=$dir/sock" --ctrl "type=unixio,path=$dir/sock.ctrl"
	wait_for 10 test -S "$dir/sock"
	export TCTI=swtpm:path=$dir/sock
}

# evmctl_pcrs FILE: its lines "BANK PCR HEX" as evmctl wants them, all 24, in $SCRATCH/evmctl.sha1 and
# $SCRATCH/evmctl.sha256.
evmctl_pcrs() {
	local bank
	for bank in sha1 sha256; do
		awk -v b=$bank '$1 == b { h[$2] = toupper($3) } END {
			for (i = 0; i < 24; i++) {
				v = i in h ? h[i] : h[10]
				if (!(i in h)) gsub(/./, "0", v)
				gsub(/../, "& ", v)
				printf "PCR-%02d: %s\n", i, v
			} }' "$1" >"$SCRATCH/evmctl.$bank"
	done
}

# no_chroot: skips the test where the names of other mount namespaces begin elsewhere: to enter one's own leads to
# its root.
no_chroot() {
	[ "$(stat -c %d:%i /)" = "$(nsenter --mount=/proc/self/ns/mnt stat -c %d:%i /)" ] ||
		skip 'in a chroot other mount namespaces have other names'
}
