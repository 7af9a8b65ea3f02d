#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whichever process of the view is killed, nothing stays mounted, nobody who reads waits, and the next start
# finds its place free; also where all of them are killed at once. (That the daemon ends with its spawner is
# not for the view to see to.) $KILLS: how often each (10).
# shellcheck source=tests/lib.sh
. "$TEST_LIB"
# shellcheck source=tests/daemon/view_lib.sh
. "$SOURCE/tests/daemon/view_lib.sh"
view_test
kills=${KILLS:-10}
names=(main spawner view guard "other guard")

all_gone() {
	local pid
	for pid in "${PARTS[@]}"; do
		# A process that ended and was not waited for has no command line.
		[ -z "$(tr -d '\0' <"/proc/$pid/cmdline" 2>/dev/null)" ] || return 1
	done
}

# field PID NAME: of its status.
field() {
	awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"
}

expect 0 "$LIST_MAKE" "$LIST" grow 500
# What they could do if they were in an enemy's hands: the view nothing, the guards unmount.
serve
[ "$(field "${PARTS[2]}" Uid) $(field "${PARTS[2]}" Gid)" = '65530 65530' ] || fail "the view is somebody's"
for part in 2 3 4; do
	pid=${PARTS[$part]}
	[ "$(field "$pid" Seccomp) $(field "$pid" NoNewPrivs)" = '2 1' ] || fail "${names[$part]}: no seccomp"
	want=0000000000000000
	[ $part = 2 ] || want=0000000000200000 # CAP_SYS_ADMIN
	[ "$(field "$pid" CapEff) $(field "$pid" CapPrm)" = "$want $want" ] || fail "${names[$part]}: capabilities"
	[ $part = 2 ] || [ "$(find "/proc/$pid/fd" -lname '/dev/fuse' -o -lname '*segment-*' | wc -l)" = 0 ] ||
		fail "${names[$part]} holds the mount or the list"
done
unserve
for part in 0 1 2 3 4; do
	for ((i = 0; i < kills; i++)); do
		serve
		exec 8<"$VIEW/ascii_runtime_measurements"
		head -c 100 <&8 >/dev/null
		(while cat "$VIEW/binary_runtime_measurements"; do :; done >/dev/null 2>&1) &
		reader=$!
		kill -KILL "${PARTS[$part]}"
		if [ $part = 1 ]; then # nobody is left who could start or kill the view
			cat "$VIEW/violations" >/dev/null || fail "the view ended with the spawner"
			kill -KILL "$SERVE"
		fi
		wait_for 10 not_mounted
		wait $reader || true
		wait_for 10 all_gone
		! cat <&8 >/dev/null 2>&1 || fail "an open of before is read on"
		exec 8<&-
		wait "$SERVE" 2>/dev/null || true
		[ -d "$VIEW" ] && [ -z "$(ls "$VIEW")" ] || fail "${names[$part]} killed: what is at its place?"
	done
	echo "${names[$part]}: killed $kills times"
done

# As the kernel does it that runs out of memory, or an operator: nobody is left to unmount. The next one does.
serve
kill -STOP "${PARTS[@]}"
kill -KILL "${PARTS[@]}"
wait "$SERVE" 2>/dev/null || true
wait_for 10 all_gone
is_mounted || fail "somebody has unmounted it"
expect 2 ls "$VIEW"
expect_text "$ERR" 'not connected'
serve
cat "$VIEW/violations" >/dev/null || fail "it does not serve after all were killed"
[ "$(grep -c " $VIEW " /proc/mounts)" = 1 ] || fail "mounts over each other"
unserve
echo "all at once: the next start clears its place"

# Somebody unmounts it: it ends.
serve
umount "$VIEW" || fail "it cannot be unmounted"
wait_for 10 all_gone
wait "$SERVE" 2>/dev/null || true
# Something else that is mounted there is left alone.
mount -t tmpfs none "$VIEW"
expect 1 "$VIEW_SERVE" "$SCRATCH/run" "$LIST" "$POLICY"
expect_text "$ERR" "type 'tmpfs' is there"
[ "$(stat -f -c %T "$VIEW")" = tmpfs ] || fail "a mount of others is gone"
umount "$VIEW"
echo "others: left alone"
