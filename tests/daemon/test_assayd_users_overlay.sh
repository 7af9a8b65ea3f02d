#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user's overlay over a layer that his own FUSE server answers for, both in namespaces of his. To open its root,
# and to read an event of a file in it, is to wait for him: assayd does neither, says so, and goes on.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
[ -e /dev/fuse ] || skip 'there is no /dev/fuse'
need setpriv
daemon_test tpm
AS_USER=(setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urm)
"${AS_USER[@]}" true 2>/dev/null || skip 'users have no namespaces here'

chmod 711 "$SCRATCH"
mkdir -m 777 "$SCRATCH/his" "$SCRATCH/out"
cp "$SOURCE/tests/daemon/silent_fuse.py" "$SCRATCH/out"
: >"$SCRATCH/out/silent" # its server is, from the first that opens the folder on
# The server is the process itself, so that it ends with the test however that ends.
cat >"$SCRATCH/his.sh" <<-EOF
	mount -t tmpfs none "$SCRATCH/his" && cd "$SCRATCH/his" && mkdir fuse empty over || exit 1
	{
		until mountpoint -q fuse; do sleep 0.05; done
		mount -t overlay none over -o lowerdir=fuse:empty && : >"$SCRATCH/out/mounted"
		: >"$SCRATCH/out/ready"
	} &
	exec python3 "$SCRATCH/out/silent_fuse.py" fuse opendir "$SCRATCH/out/silent"
EOF
printf '%s\n' 'measure func=FILE_CHECK mask=MAY_READ fsmagic=0x858458f6' >"$SCRATCH/ramfs"
MNT=''
start_assayd "policy=$SCRATCH/ramfs"
background "${AS_USER[@]}" bash "$SCRATCH/his.sh"
his=$PID
wait_for 20 test -e "$SCRATCH/out/ready"
[ -e "$SCRATCH/out/mounted" ] || skip 'users have no overlays over FUSE here'

# Who loads policies is who would wait.
loads() {
	grep -c 'is in force' "$LOG" || true
}
said() {
	[ "$(state_records "event=uncovered;type=overlay;point=.*/his/over;")" = 1 ]
}
wait_for 20 said
kill -HUP "$DAEMON"
loaded() { [ "$(loads)" -ge 1 ]; }
wait_for 20 loaded
kill -KILL "$his"
# Its device number may be the next one's.
forgotten() { ! status uncovered | grep -q his/over; }
wait_for 20 forgotten

# Root's overlay, in a namespace that a user has copied; of the two processes his is met first.
mkdir -m 777 "$SCRATCH/roots"
cat >"$SCRATCH/roots.sh" <<-EOF
	mount -t tmpfs none "$SCRATCH/roots" && cd "$SCRATCH/roots" && mkdir one two over last &&
		mount -t overlay none over -o lowerdir=one:two &&
		mount -t ramfs none last || exit 1 # found after the overlay, and watched
	{ while [ -e "$SCRATCH/roots.sh" ]; do sleep 0.2; done; } &
	cd / && exec ${AS_USER[*]} bash -c ': >"$SCRATCH/out/copied"; exec sleep 1000'
EOF
background unshare -m --propagation private bash "$SCRATCH/roots.sh"
wait_for 20 test -e "$SCRATCH/out/copied"
wait_for 20 grep -q "watching .*$SCRATCH/roots/last" "$LOG"
[ "$(state_records "event=uncovered;type=overlay;point=.*$SCRATCH/roots/over;")" = 0 ] ||
	fail "root's overlay is taken for a user's"

# Root's, too, where all that run are in a user namespace below ours.
mkdir -m 777 "$SCRATCH/contained"
cat >"$SCRATCH/contained.sh" <<-EOF
	mount -t tmpfs none "$SCRATCH/contained" && cd "$SCRATCH/contained" && mkdir one two over last &&
		mount -t overlay none over -o lowerdir=one:two &&
		mount -t ramfs none last || exit 1
	cd / && exec ${AS_USER[*]/-Urm/-Ur} bash -c 'for ((i = 0; i < 100000; i++)); do :; done; exec sleep 1000'
EOF
background unshare -m --propagation private bash "$SCRATCH/contained.sh"
wait_for 20 grep -q "watching .*$SCRATCH/contained/last" "$LOG"
[ "$(state_records "event=uncovered;type=overlay;point=.*$SCRATCH/contained/over;")" = 0 ] ||
	fail "the overlay of root's container is taken for a user's"

# A table of mounts that is longer than anybody reads: that is said, and the search goes on.
cat >"$SCRATCH/out/many.py" <<-'EOF'
	import ctypes, os, time
	libc = ctypes.CDLL(None)
	os.chdir('/mnt')
	libc.mount(b'none', b'/mnt', b'tmpfs', 0, None)
	os.chdir('/mnt')
	for i in range(14):
	    os.mkdir(' ' * 250) # four bytes each
	    os.chdir(' ' * 250)
	os.mkdir('from')
	for i in range(5000):
	    os.mkdir(str(i))
	    libc.mount(b'from', str(i).encode(), None, 4096, None)
	time.sleep(1000)
EOF
background "${AS_USER[@]}" python3 "$SCRATCH/out/many.py"
wait_for 20 grep -q 'not watched: mnt:.* (unknown)' "$LOG"
need_proved
stop_assayd
