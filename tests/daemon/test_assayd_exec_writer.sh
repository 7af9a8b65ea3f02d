#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Somebody writes to a program while its content is read, and has closed it before it is executed: what runs
# was never read whole, so a violation says that its digest is not to be believed.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount

echo 'measure func=BPRM_CHECK' >"$SCRATCH/policy"
start_assayd "policy=$SCRATCH/policy" max_file_size_mib=1048576
# A script that is too big to be read to its end. Once assayd is past its beginning, which is cached then, it
# is stopped; the beginning is changed behind it, the writer closes the file and cuts it off, and assayd goes
# on to an end that is there now. Nothing depends on who is fast.
# "before": the writer has it open when it is executed; "during": opens it while it is read.
cat >"$SCRATCH/attack.py" <<'END'
import ctypes, glob, os, signal, subprocess, sys, time
path, when, daemon = sys.argv[1:4]
signal.signal(signal.SIGTERM, lambda *_: sys.exit('too slow')) # nobody stays stopped
PAST, SIZE, PAGE = 64 << 20, 256 << 30, os.sysconf('SC_PAGE_SIZE')
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]

def stat_field(pid, n): # behind the name, which may have blanks
    with open('/proc/%s/stat' % pid) as f: return f.read().rpartition(')')[2].split()[n]

def family(root): # assayd and all its children
    found, more = [], [root]
    while more:
        found += more
        parents, more = more, []
        for folder in glob.glob('/proc/[0-9]*'):
            try:
                if stat_field(os.path.basename(folder), 1) in parents: more.append(os.path.basename(folder))
            except OSError: pass
    return found

def is_stopped(pid):
    return all(stat_field('%s/task/%s' % (pid, t), 0) == 'T' for t in os.listdir('/proc/%s/task' % pid))

def until(what):
    while not what(): time.sleep(0.001)

with open(path, 'w') as f:
    f.write('#!/bin/sh\nexit 4\n')
os.truncate(path, SIZE)
os.chmod(path, 0o755)
fd = os.open(path, os.O_RDONLY)
page = libc.mmap(None, PAGE, 1, 1, fd, PAST)
assert page != ctypes.c_void_p(-1).value
os.close(fd)

def is_cached():
    vec = ctypes.create_string_buffer(1)
    assert libc.mincore(page, PAGE, vec) == 0
    return vec.raw[0] & 1

fd = os.open(path, os.O_WRONLY) if when == 'before' else -1
assert not is_cached()
# It is the shell that waits in exec(); who starts a process may wait for its exec() with all threads.
run = subprocess.Popen(['/bin/sh', '-c', 'exec "$0"', path])
until(is_cached)
if fd < 0: fd = os.open(path, os.O_WRONLY)
stopped = family(daemon)
try:
    for pid in stopped: os.kill(int(pid), signal.SIGSTOP)
    until(lambda: all(map(is_stopped, stopped)))
    os.pwrite(fd, b'#!/bin/sh\nexit 5\n', 0)
    os.close(fd)
    os.truncate(path, PAST)
finally:
    for pid in stopped: os.kill(int(pid), signal.SIGCONT)
print('ran', run.wait())
END
for when in before during; do
	timeout -k 10 80 python3 "$SCRATCH/attack.py" "$MNT/$when" $when "$DAEMON" >"$SCRATCH/out" || fail "the attack ends with $?"
	[ "$(cat "$SCRATCH/out")" = 'ran 5' ] || fail "the changed program was not what ran: $(cat "$SCRATCH/out")"
	[ "$(status events.deadlines)" = 0 ] || fail 'it was answered at the deadline'
	entries >"$SCRATCH/entries"
	digest=$(sha256sum "$MNT/$when" | cut -d ' ' -f 1)
	grep -q "$digest" "$SCRATCH/entries" ||
		grep -q " sha256:0\{64\} $MNT/$when\$" "$SCRATCH/entries" ||
		fail "changed content ran, and no record says so ($when)"
done
stop_assayd
