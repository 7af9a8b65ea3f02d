#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Somebody writes to a program while its content is read, and has closed it before it is executed: what runs
# was never read whole, so a violation says that its digest is not to be believed.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount

echo 'measure func=BPRM_CHECK' >"$SCRATCH/policy"
start_assayd "policy=$SCRATCH/policy"
# A script, as big as it takes to be read for a while; its beginning is changed behind the reader.
# "before": the writer has it open when it is executed; "during": opens it while it is read.
cat >"$SCRATCH/attack.py" <<'END'
import os, subprocess, sys, threading, time
path, when, daemon = sys.argv[1:4]
def read_so_far():
    with open('/proc/%s/io' % daemon) as f: return int(f.readline().split()[1])
with open(path, 'w') as f:
    f.write('#!/bin/sh\nexit 4\n')
    os.truncate(path, 200 << 20)
os.chmod(path, 0o755)
fd = os.open(path, os.O_WRONLY) if when == 'before' else -1
base = read_so_far()
run = []
thread = threading.Thread(target=lambda: run.append(subprocess.Popen([path], pass_fds=(), close_fds=True).wait()))
thread.start()
end = time.monotonic() + 20
while read_so_far() < base + (8 << 20) and time.monotonic() < end: pass
if fd < 0: fd = os.open(path, os.O_WRONLY)
os.pwrite(fd, b'#!/bin/sh\nexit 5\n', 0)
os.close(fd)
thread.join()
print('ran', run[0] if run else 'busy')
END
for when in before during; do
	timeout -s KILL 60 python3 "$SCRATCH/attack.py" "$MNT/$when" $when "$DAEMON" >"$SCRATCH/out"
	cat "$SCRATCH/out"
	[ "$(cat "$SCRATCH/out")" = 'ran 5' ] || skip "the writer was too slow here: $(cat "$SCRATCH/out")"
	entries >"$SCRATCH/entries"
	grep "$MNT/$when\$" "$SCRATCH/entries" || true
	digest=$(sha256sum "$MNT/$when" | cut -d ' ' -f 1)
	grep -q "$digest" "$SCRATCH/entries" ||
		grep -q " sha256:0\{64\} $MNT/$when\$" "$SCRATCH/entries" ||
		fail "changed content ran, and no record says so ($when)"
done
stop_assayd
