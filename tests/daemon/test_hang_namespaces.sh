#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hundreds of mount namespaces with thousands of mounts each, and nothing new in any: the search takes long, and
# is not taken for one that hangs.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test
MNT=''
echo 'measure func=BPRM_CHECK fsmagic=0x858458f6' >"$SCRATCH/ramfs" # nobody has one
NAMESPACES=400 MOUNTS=2000

cat >"$SCRATCH/many.py" <<'EOF_PY'
import ctypes, os, sys, threading
folder, namespaces, mounts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
CLONE_NEWNS, MS_BIND = 0x20000, 4096
libc = ctypes.CDLL(None, use_errno=True)
threading.stack_size(65536)
end = threading.Event()
made = threading.Semaphore(0)

def call(what, *arguments):
    if what(*arguments) != 0:
        os._exit(1)

def live():
    call(libc.unshare, CLONE_NEWNS)
    made.release()
    end.wait()

for i in range(mounts):
    point = f'{folder}/{i}'.encode()
    os.mkdir(point)
    call(libc.mount, point, point, None, MS_BIND, None)
for i in range(namespaces):
    threading.Thread(target=live, daemon=True).start()
for i in range(namespaces):
    made.acquire()
print('made', flush=True)
end.wait()
EOF_PY
mkdir "$SCRATCH/mounts"
background unshare -m --propagation private python3 "$SCRATCH/many.py" "$SCRATCH/mounts" $NAMESPACES $MOUNTS >"$SCRATCH/many.log"
many=$PID
wait_for 60 grep -q made "$SCRATCH/many.log"
start_assayd "policy=$SCRATCH/ramfs"
seen() { [ "$(status elsewhere.namespaces)" -ge $NAMESPACES ]; }
wait_for 60 seen
! log_says 'begins again' || fail "$(grep 'begins again' "$LOG" | head -n 1)"
[ "$(status elsewhere.hung)" = 0 ] || fail 'a place is left out that answers'
echo "a pass over $(status elsewhere.namespaces) namespaces; the window is $(status elsewhere.window_ms) ms"
kill -KILL "$many"
stop_assayd
