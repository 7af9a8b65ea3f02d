#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One user opens hundreds of files at once, each some work for a worker; another one opens a few meanwhile. He waits
# for a turn, not for all that were there before.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
hang_test mount tpm
threads=$((300 / SLOW)) files=$((600 / SLOW)) ASK_SECONDS=${ASK_SECONDS:-200}
[ -z "$LONG" ] || { threads=2000 files=12000 DAEMON_SECONDS=600 ASK_SECONDS=300; }

as_user python3 - "$MNT/many" $files >"$SCRATCH/many" <<'EOF'
import os, sys
os.mkdir(sys.argv[1])
for i in range(int(sys.argv[2])):
    path = '%s/%d' % (sys.argv[1], i)
    with open(path, 'w') as f:
        f.write(path)
        f.truncate(4000000) # a little less than what a worker has for itself
    print(path)
EOF
user 65533
make_files "$MNT/few" 40 >"$SCRATCH/few"
user
start_hang workers=1 deadline_ms=300000
in_background read $threads "$SCRATCH/many-told" <"$SCRATCH/many"
crowd=$PID
wait_for 60 some_held $((threads * 7 / 8))
user 65533
asks read 1 "$SCRATCH/few-told" <"$SCRATCH/few"
user
kill -0 $crowd 2>/dev/null || fail 'the crowd was gone before: that is no test'
wait $crowd || fail 'somebody waits for ever'
need_allowed "$SCRATCH/few-told"
need_allowed "$SCRATCH/many-told"
few=$(middle "$SCRATCH/few-told") many=$(middle "$SCRATCH/many-told")
echo "medians: $few ms of 40 opens beside $many ms of those of $threads threads"
[ $((few * 5)) -lt "$many" ] || fail "who opens one file at a time waits $few ms, the crowd $many ms"
need_no_deadline
hang_end "$SCRATCH"/{few,many}-told
