#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Filesystems that are mounted in other mount namespaces only: root's and a user's are found within the
# window that status states, measured, and forgotten when they are gone; one whose path leads through a
# server that does not answer ends the search's process and nothing else.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
need setpriv
no_chroot
daemon_test tpm

# ramfs, as nobody else here has any: no rule matches a filesystem of this machine's.
printf '%s\n' 'measure func=BPRM_CHECK fsmagic=0x858458f6' 'measure func=FILE_CHECK mask=MAY_READ fsmagic=0x858458f6' \
	>"$SCRATCH/ramfs"
MNT=''
chmod 711 "$SCRATCH"
mkdir -m 777 "$SCRATCH/private" "$SCRATCH/out"

# elsewhere NAME COMMAND...: in a mount namespace with a ramfs at $SCRATCH/private, until told to go; runs
# /private/NAME each time that $SCRATCH/out/NAME.run is made, and /private/NAME.runs from the first moment on.
elsewhere() {
	local name=$1
	shift
	cat >"$SCRATCH/$name.sh" <<-EOF
		mount -t ramfs none "$SCRATCH/private" || exit 1
		cp /bin/sleep "$SCRATCH/private/$name.runs"
		setpriv --pdeathsig KILL "$SCRATCH/private/$name.runs" 1000 &
		cp /bin/true "$SCRATCH/private/$name"
		echo content >"$SCRATCH/private/$name.txt"
		: >"$SCRATCH/out/$name.ready"
		until [ -e "$SCRATCH/out/$name.end" ]; do
			if [ -e "$SCRATCH/out/$name.run" ]; then
				"$SCRATCH/private/$name"
				cat "$SCRATCH/private/$name.txt" >/dev/null
				rm "$SCRATCH/out/$name.run"
			fi
			sleep 0.05
		done
	EOF
	background "$@" bash "$SCRATCH/$name.sh"
	wait_for 20 test -e "$SCRATCH/out/$name.ready"
}

run_there() {
	: >"$SCRATCH/out/$1.run"
	chmod 666 "$SCRATCH/out/$1.run"
	wait_for 20 test ! -e "$SCRATCH/out/$1.run"
}

# need_there NAME: what it ran and read is in the list, with its content, though nobody here can open it.
need_there() {
	local name=$1 program text
	program=$(sha256sum </bin/true)
	text=$(echo content | sha256sum)
	entries >"$SCRATCH/entries"
	expect_text "$(<"$SCRATCH/entries")" "sha256:${program%% *} $SCRATCH/private/$name"
	expect_text "$(<"$SCRATCH/entries")" "sha256:${text%% *} $SCRATCH/private/$name.txt"
}

# ran_there NAME: what it ran before its filesystem was found is in the list.
ran_there() {
	local program
	program=$(sha256sum </bin/sleep)
	entries >"$SCRATCH/entries"
	grep -q "sha256:${program%% *} $SCRATCH/private/$1.runs\$" "$SCRATCH/entries"
}

filesystems_are() {
	[ "$(status elsewhere.filesystems)" -ge "$1" ] && [ "$(status watched)" = "$2" ]
}

# ---- one that is there before, one that comes, one of a user's ------------------------------------------------
elsewhere before unshare -m --propagation private
start_assayd "policy=$SCRATCH/ramfs"
[ "$(status watched)" = 1 ] || fail 'what was mounted before the start is not watched from the start'
run_there before
need_there before
elsewhere later unshare -m --propagation private
wait_for 20 filesystems_are 2 2
[ "$(status elsewhere.window_ms)" -gt 0 ] || fail 'the window is not stated'
run_there later
need_there later
wait_for 20 ran_there later
expected=2

# ---- one that comes to a namespace that is known ----------------------------------------------------------------
# From kernels of 6.15 on its mount is told of, so that it need not wait for the search's turn, which has just been over. The
# best of five, as a busy machine may stand still; one before them, as a new namespace is looked at twice.
marked=$(status elsewhere.marked)
if [ "$marked" -gt 0 ]; then
	cat >"$SCRATCH/known.sh" <<-EOF
		: >"$SCRATCH/out/known.here"
		until [ -e "$SCRATCH/out/known.end" ]; do
			if [ -e "$SCRATCH/out/known.mount" ]; then
				rm "$SCRATCH/out/known.mount"
				mount -t ramfs none "$SCRATCH/private" && : >"$SCRATCH/out/known.mounted"
			elif [ -e "$SCRATCH/out/known.umount" ]; then
				umount "$SCRATCH/private" && rm "$SCRATCH/out/known.umount"
			fi
			sleep 0.02
		done
	EOF
	background unshare -m --propagation private bash "$SCRATCH/known.sh"
	wait_for 20 test -e "$SCRATCH/out/known.here"
	known() { [ "$(status elsewhere.marked)" -gt "$marked" ]; }
	wait_for 20 known
	for ((i = 0; i < 6; i++)); do
		: >"$SCRATCH/out/known.mount"
		wait_for 20 test -e "$SCRATCH/out/known.mounted"
		from=${EPOCHREALTIME/./}
		until [ "$(status watched)" = 3 ]; do sleep 0.02; done
		echo $(((${EPOCHREALTIME/./} - from) / 1000))
		rm "$SCRATCH/out/known.mounted"
		: >"$SCRATCH/out/known.umount"
		wait_for 20 filesystems_are 2 2
	done >"$SCRATCH/all.ms"
	tail -n +2 "$SCRATCH/all.ms" >"$SCRATCH/known.ms"
	best=$(sort -n "$SCRATCH/known.ms" | head -n 1)
	echo "$((marked + 1)) namespaces are marked; a mount in a known namespace is marked after $(paste -sd ' ' "$SCRATCH/known.ms") ms; promised are" \
		"$(status elsewhere.marked_window_ms) of $(status elsewhere.window_ms)"
	[ "$best" -lt $(($(status elsewhere.window_ms) / 3)) ] || fail "it waits for the search's turn: $best ms"
	touch "$SCRATCH/out/known.end"
	known_gone() { [ "$(status elsewhere.marked)" = "$marked" ]; }
	wait_for 20 known_gone
else
	echo 'this kernel tells of no mounts in other namespaces'
fi
if setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urm true 2>/dev/null; then
	elsewhere user setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urm
	wait_for 20 filesystems_are 3 3
	run_there user
	need_there user
	wait_for 20 ran_there user
	expected=3
else
	echo 'users have no namespaces here'
fi

# ---- the number of one that is gone may be another's ---------------------------------------------------------------
touch "$SCRATCH/out/later.end"
fewer() {
	[ "$(status watched)" = $((expected - 1)) ]
}
wait_for 20 fewer
rm "$SCRATCH/out/later.ready" "$SCRATCH/out/later.end"
elsewhere again unshare -m --propagation private
wait_for 20 filesystems_are "$expected" "$expected"
run_there again
need_there again

# ---- a path through a server that does not answer ----------------------------------------------------------------------
# A private mount at SCRATCH/private/sub, which is FUSE's: to look at it is to wait for its server.
if [ -c /dev/fuse ]; then
	mkdir "$SCRATCH/fuse"
	cat >"$SCRATCH/stall.sh" <<-EOF
		python3 "$SOURCE/tests/daemon/stalling_fuse.py" "$SCRATCH/fuse" "$SCRATCH/out/stall" &
		until mountpoint -q "$SCRATCH/fuse"; do sleep 0.05; done
		mount -t ramfs none "$SCRATCH/fuse/sub" && : >"$SCRATCH/out/stall.ready"
		wait
	EOF
	background unshare -m --propagation private bash "$SCRATCH/stall.sh"
	stalling=$PID
	wait_for 20 test -e "$SCRATCH/out/stall.ready"
	wait_for 20 filesystems_are $((expected + 2)) $((expected + 1)) # FUSE itself is looked at, not watched
	touch "$SCRATCH/out/stall"
	hung() {
		[ "$(status elsewhere.hung)" -gt 0 ]
	}
	wait_for 30 hung
	expect_text "$(<"$LOG")" 'waits for a filesystem that does not answer'
	elsewhere beside unshare -m --propagation private
	beside_seen() {
		run_there beside
		entries | grep -q " $SCRATCH/private/beside\$"
	}
	wait_for 30 beside_seen
	[ "$(status elsewhere.hung)" = 1 ] || fail 'a place that hung is looked at again'
	pkill -KILL -P "$stalling" # its shell ends with it
	touch "$SCRATCH/out/beside.end"
	fewer_now() {
		[ "$(status watched)" = "$expected" ]
	}
	wait_for 30 fewer_now
else
	echo 'without FUSE'
fi

# ---- a user's overlay -----------------------------------------------------------------------------------------------------
# Its layer may be a FUSE filesystem of his: it is recorded, and never opened.
if [ $expected = 3 ]; then
	cat >"$SCRATCH/overlay.sh" <<-EOF
		mount -t tmpfs none "$SCRATCH/private" && mkdir "$SCRATCH/private"/{lower,upper,work,both} &&
			mount -t overlay none "$SCRATCH/private/both" \
				-o "userxattr,lowerdir=$SCRATCH/private/lower,upperdir=$SCRATCH/private/upper,workdir=$SCRATCH/private/work" &&
			: >"$SCRATCH/out/overlay.ready"
		until [ -e "$SCRATCH/out/overlay.end" ]; do sleep 0.05; done
	EOF
	background setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urm bash "$SCRATCH/overlay.sh"
	wait_for 20 test -e "$SCRATCH/out/overlay.ready"
	overlay_seen() {
		status uncovered | grep -q 'mnt:.*/both", "type": "overlay", "reason": "another process or machine'
	}
	wait_for 20 overlay_seen
	touch "$SCRATCH/out/overlay.end"
fi

# ---- the search dies ------------------------------------------------------------------------------------------------
scout() {
	pgrep -f -P "$(pgrep -P "$DAEMON" -f 'assayd: spawner')" 'assayd: scout'
}
first=$(scout)
kill -KILL "$first"
another() {
	local now
	now=$(scout) && [ "$now" != "$first" ] && [ "$(status watched)" = "$expected" ]
}
wait_for 20 another
: >"$SCRATCH/out/again.end"
fewer_again() {
	[ "$(status watched)" = $((expected - 1)) ]
}
wait_for 20 fewer_again
need_proved
touch "$SCRATCH/out"/{before,user}.end
stop_assayd
wait_for 60 records_are 'event=late-again;scans=[0-9]*;processes=[0-9]*;files=[1-9]' -ge 1 'the later scans are not recorded'
