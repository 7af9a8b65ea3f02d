#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whoever takes assayd's log and its audit records is stopped: a pipe and then a socket (as journald's) that nobody
# reads. Openers do not notice, and what could not be written is counted.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount tpm

# The journal: takes log lines over a pipe or a socket, and audit records. Writes down how many of these it got.
cat >"$SCRATCH/journal.py" <<'EOP'
import os, select, socket, sys
folder = sys.argv[1]
os.mkfifo(folder + '/pipe')
pipe = os.open(folder + '/pipe', os.O_RDWR)
listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listening.bind(folder + '/stream')
listening.listen(5)
audit = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
audit.bind(folder + '/audit')
print('listens', flush=True)
n = 0
while True:
    select.select([audit], [], [])
    n += b'ASSAY' in audit.recv(65536)
    print(n, flush=True)
EOP
# assayd with its standard error there, which is full already.
cat >"$SCRATCH/logging.py" <<'EOP'
import fcntl, os, socket, sys
kind, program = os.environ['STDERR_TO'], os.environ['STDERR_OF']
if os.path.basename(kind) == 'pipe':
    fd = os.open(kind, os.O_WRONLY)
    fcntl.fcntl(fd, 1031, 4096) # F_SETPIPE_SZ
else:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    s.connect(kind)
    fd = s.detach()
os.set_blocking(fd, False)
try:
    while True: os.write(fd, b'x' * 512)
except BlockingIOError:
    os.set_blocking(fd, True)
os.dup2(fd, 2)
os.close(fd)
os.execv(program, [program] + sys.argv[1:])
EOP
printf '#!/bin/sh\nexec python3 %s "$@"\n' "$SCRATCH/logging.py" >"$SCRATCH/logging"
chmod 755 "$SCRATCH/logging"
export STDERR_OF=$ASSAYD
ASSAYD=$SCRATCH/logging
echo 'audit func=FILE_CHECK mask=^MAY_READ' >>"$SCRATCH/policy"

for kind in pipe stream; do
	dir=$SCRATCH/$kind LIST=$SCRATCH/list-$kind
	mkdir "$dir"
	background python3 "$SCRATCH/journal.py" "$dir" >"$dir/got"
	journal=$PID
	wait_for 60 grep -q listens "$dir/got"
	kill -STOP "$journal"
	make_files "$MNT/$kind" 400 >"$SCRATCH/files"
	STDERR_TO=$dir/$kind start_hang "deadline_ms=$FAR_DEADLINE_MS" "audit_journal=$dir/audit" audit_rate=0
	dropped=$(status work.log_lines_dropped)
	[ "$dropped" -gt 0 ] || fail 'no line was dropped: that is no test'
	asks read 8 "$SCRATCH/told-$kind" <"$SCRATCH/files"
	need_quick "$SCRATCH/told-$kind" $SLACK_MS
	need_allowed "$SCRATCH/told-$kind"
	[ "$(status events.deadlines)" = 0 ] || fail 'somebody waited for the log'
	kill -CONT "$journal"
	hang_end "$SCRATCH/told-$kind"
	lost=$(state_texts | sed -n 's/.*event=audit_lost;sink=journal;count=\([0-9]*\);$/\1/p' | awk '{ n += $1 } END { print n + 0 }')
	enough() {
		[ $(($(tail -n 1 "$dir/got") + lost)) -ge 400 ]
	}
	wait_for 60 enough
	echo "$kind: $dropped lines of the log were dropped; of the audit records $lost were lost, $(tail -n 1 "$dir/got") taken"
done
