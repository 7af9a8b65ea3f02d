#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user's overlay over a FUSE filesystem of his gets the device number of a filesystem that is watched, while it is looked
# for what runs already: who closes a file there waits for his server. assayd says that it does not know the file, and
# asks nothing of it.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need unshare
no_chroot
hang_test
as_user unshare -Urm true || skip 'users cannot make namespaces here'
[ -e /dev/fuse ] || skip 'there is no /dev/fuse'
MNT=''
printf 'measure func=%s fsmagic=0x858458f6\n' BPRM_CHECK 'FILE_CHECK mask=MAY_READ' >"$SCRATCH/policy"
mkdir "$SCRATCH/root"
mkdir -m 777 "$SCRATCH/his" "$SCRATCH/out"
mount -t ramfs none "$SCRATCH/root"
_mounts+=("$SCRATCH/root")
echo a >"$SCRATCH/root/a"
OUT=$SCRATCH/out
cp "$SOURCE/tests/daemon/exec_holders.py" "$SOURCE/tests/daemon/silent_fuse.py" "$OUT/"
cat >"$OUT/maps.py" <<'EOF'
import mmap, os, sys, time
memory = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
open(sys.argv[2], 'w').close()
print(os.getpid(), flush=True)
time.sleep(300)
EOF
# The first three numbers that are free are those of his ramfs; a few overlays have them then.
cat >"$OUT/his.sh" <<EOF
	mount -t tmpfs none "$SCRATCH/his" && cd "$SCRATCH/his" && mkdir fuse hold empty ram{1..3} over{1..12} || exit 1
	python3 $OUT/silent_fuse.py hold write >$OUT/hold.log & echo \$! >>$OUT/pids
	python3 $OUT/silent_fuse.py fuse flush $OUT/stall >$OUT/fuse.log & echo \$! >>$OUT/pids
	until mountpoint -q fuse && mountpoint -q hold; do sleep 0.05; done
	mount -t overlay none over1 -o lowerdir=fuse:empty && umount over1 || { : >$OUT/no-overlay; exit 1; }
	python3 $OUT/exec_holders.py hold/file 4 >$OUT/holders & echo \$! >>$OUT/pids
	until grep -q silent $OUT/hold.log; do sleep 0.05; done
	for i in {1..3}; do mount -t ramfs none ram\$i && numbers="\$numbers \$(mountpoint -d ram\$i) "; done
	: >$OUT/ready
	until [ -e $OUT/go ]; do sleep 0.005; done
	umount ram{1..3}
	for i in {1..12}; do
		mount -t overlay none over\$i -o lowerdir=fuse:empty || break
		[[ "\$numbers" != *" \$(mountpoint -d over\$i) "* ]] || same="\$same over\$i/file"
	done
	echo "\$same" >$OUT/same
	for file in \$same; do python3 $OUT/maps.py \$file $OUT/stall >>$OUT/mapped & echo \$! >>$OUT/pids; done
	exec sleep 300
EOF
# The servers first: who waits for them cannot be killed.
release() {
	local status=$? pid
	for pid in $(cat "$OUT/pids" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
	return $status
}
trap 'release || _cleanup; _cleanup' EXIT
background "${USER_RUNS[@]}" unshare -Urm bash "$OUT/his.sh" >"$OUT/his.log" 2>&1
is_ready() { [ -e "$OUT/ready" ] || [ -e "$OUT/no-overlay" ]; }
wait_for 60 is_ready
[ -e "$OUT/ready" ] || skip 'users cannot lay an overlay over FUSE here'

# He sees a walker of ours, which waits for his holders by then.
cat >"$SCRATCH/see.py" <<'EOF'
import os, sys, time

def text(pid, what):
    with open(f'/proc/{pid}/{what}') as f:
        return f.read()

def parent(pid):
    return text(pid, 'stat').rsplit(') ', 1)[1].split()[1]

def is_ours(pid):
    try:
        return text(pid, 'comm') == 'assayd-walker\n' and sys.argv[1] in text(parent(parent(pid)), 'cmdline')
    except OSError:
        return False

while not any(is_ours(pid) for pid in os.listdir('/proc') if pid.isdigit()):
    time.sleep(0.005)
open(sys.argv[2], 'w').close()
EOF
background python3 "$SCRATCH/see.py" "$SCRATCH" "$OUT/go"
start_assayd "policy=$SCRATCH/policy" "deadline_ms=$FAR_DEADLINE_MS"
wait_for 60 test -e "$OUT/same"
read -ra same <"$OUT/same"
[ "${#same[@]}" -gt 0 ] || skip 'others were given the numbers'
all_mapped() { [ "$(wc -l <"$OUT/mapped")" = "${#same[@]}" ]; }
wait_for 60 all_mapped
mapfile -t mapped <"$OUT/mapped"
[ "${mapped[0]}" -gt "$(tail -n 1 "$OUT/holders")" ] || skip 'process numbers have begun again'

# Either it has looked at the file, which it does not know, or, where all takes its time, has found the overlays first.
doubted() { grep -q "of process \(${mapped[0]}\|${mapped[-1]}\): Stale file handle" "$LOG"; }
is_over() { doubted || grep -q "not watched: .*/${same[0]%/file} (overlay)" "$LOG"; }
wait_for 120 is_over
doubted || echo 'the overlays were found first'
waits() { grep -l '^State:.D' "/proc/$DAEMON/task/"*/status; }
for _ in {1..10}; do
	! waits || fail 'assayd waits for a server'
	cp "$SCRATCH/root/a" "$SCRATCH/root/b"
	mv "$SCRATCH/root/b" "$SCRATCH/root/a"
	as_user cat "$SCRATCH/root/a" >"$SCRATCH/read"
done
! grep -q silent "$OUT/fuse.log" || fail 'assayd has asked the server'
began=$SECONDS
stop_assayd
echo "ended after $((SECONDS - began)) s, with ${#same[@]} numbers used again"
