#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A deleted file is opened whose folder is by now another one, served by somebody who never answers: assayd
# does not ask there, and nobody waits.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
[ -e /dev/fuse ] || skip 'there is no /dev/fuse'
daemon_test mount

start_assayd

# Answers FUSE_INIT, and nothing after it: opcode 26, reply of version 7.31.
cat >"$SCRATCH/fuse.py" <<'EOF_PY'
import ctypes, errno, os, struct, sys, time
fd = os.open('/dev/fuse', os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = 'fd=%d,rootmode=40000,user_id=65534,group_id=65534,allow_other' % fd
if libc.mount(b'none', sys.argv[1].encode(), b'fuse', 0, options.encode()):
    print(errno.errorcode[ctypes.get_errno()], flush=True)
    sys.exit()
unique = struct.unpack_from('<IIQ', os.read(fd, 65536))[2]
os.write(fd, struct.pack('<IiQIIIIHHIIHHI28x', 16 + 64, 0, unique, 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0))
print('mounted', flush=True)
time.sleep(250)
EOF_PY

mkdir "$MNT/dir"
echo content >"$MNT/dir/file"
ln "$MNT/dir/file" "$MNT/other-name"
exec 8<"$MNT/dir/file"
echo changed >>"$MNT/other-name"
rm "$MNT/dir/file"
background python3 "$SCRATCH/fuse.py" "$MNT/dir" >"$SCRATCH/fuse"
wait_for 10 test -s "$SCRATCH/fuse"
! grep -q -E 'EPERM|EACCES|ENODEV' "$SCRATCH/fuse" || skip "FUSE cannot be mounted here: $(cat "$SCRATCH/fuse")"
[ "$(cat "$SCRATCH/fuse")" = mounted ] || fail "FUSE: $(cat "$SCRATCH/fuse")"
_mounts+=("$MNT/dir")
timeout -s KILL $PATIENCE cat "/proc/$$/fd/8" >/dev/null || fail 'the opener waits'
echo next >"$MNT/next"
timeout -s KILL $PATIENCE cat "$MNT/next" >/dev/null || fail 'others wait'
[ "$(status events.deadlines)" = 0 ] || fail 'openers were answered at the deadline'
need_measured "$MNT/next" 1
entries | grep -q " $MNT/dir/file$" || fail 'the deleted file is not measured by its name'
stop_assayd
