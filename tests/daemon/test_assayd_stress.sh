#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many openers, writers and changes at once: whatever a reader got to see after a change is in the
# list, nobody is refused, and the whole list replays to the TPM, for us and for evmctl.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
need evmctl
daemon_test mount tpm

start_assayd gather_us=100

# Each try: an open and a change race; when both are done, what a new open reads must be measured.
timeout -s KILL 250 python3 - "$MNT" "${ASSAY_STRESS_TRIES:-1500}" >"$SCRATCH/seen" <<'EOF'
import hashlib, os, random, sys, threading
folder, tries = sys.argv[1], int(sys.argv[2])
seen, lock = set(), threading.Lock()

def change(path, value):
    kind = random.randrange(4)
    if kind == 0:
        with open(path, 'w') as f: f.write(value)
    elif kind == 1:
        with open(path + '.new', 'w') as f: f.write(value)
        os.rename(path + '.new', path)
    elif kind == 2:
        os.truncate(path, 0)
        with open(path, 'r+') as f: f.write(value)
    else:
        fd = os.open(path, os.O_RDWR | os.O_TRUNC)
        os.write(fd, value.encode())
        os.close(fd)

def read(path):
    with open(path, 'rb') as f: return f.read()

def run(n):
    path = '%s/file-%d' % (folder, n)
    with open(path, 'w') as f: f.write('begin')
    for i in range(tries):
        readers = [threading.Thread(target=read, args=(path,)) for _ in range(2)]
        for t in readers: t.start()
        change(path, 'thread %d try %d' % (n, i))
        for t in readers: t.join()
        content = read(path)
        with lock: seen.add((path, hashlib.sha256(content).hexdigest()))

threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
for t in threads: t.start()
for t in threads: t.join()
for path, digest in sorted(seen): print('sha256:%s %s' % (digest, path))
EOF
entries | cut -d ' ' -f 4,5 | sort -u >"$SCRATCH/measured"
sort -u "$SCRATCH/seen" | comm -23 - "$SCRATCH/measured" >"$SCRATCH/missing"
[ ! -s "$SCRATCH/missing" ] || fail "seen and not measured: $(wc -l <"$SCRATCH/missing"), $(head -n 3 "$SCRATCH/missing")"
echo "$(wc -l <"$SCRATCH/seen") contents seen, $(status work.marks) marks, $(status work.broken_leases) broken leases, $(status list.violations) violations"
[ "$(status events.errors)" = 0 ] || fail "errors: $(tail -n 3 "$LOG")"
[ "$(status events.refused)" = 0 ] || fail 'opens were refused'
[ "$(status events.held)" = 0 ] || fail 'somebody still waits'
need_proved

# Others accept the anchored form of it: what the PCR replays.
"$ASSAY" log export --format anchored "$(newest)" >"$SCRATCH/anchored"
evmctl_pcrs "$SCRATCH/pcrs"
options=(--pcrs "sha1,$SCRATCH/evmctl.sha1" --pcrs "sha256,$SCRATCH/evmctl.sha256")
expect 0 evmctl ima_measurement "${options[@]}" "$SCRATCH/anchored"
expect_text "$OUT$ERR" 'Matched per TPM bank'
# evmctl sees a change of one byte too, or it would have proved nothing.
cp "$SCRATCH/anchored" "$SCRATCH/changed"
printf 'X' | dd of="$SCRATCH/changed" bs=1 seek=300 conv=notrunc status=none
cmp -s "$SCRATCH/anchored" "$SCRATCH/changed" && fail 'nothing was changed'
expect 1 evmctl ima_measurement "${options[@]}" "$SCRATCH/changed"
stop_assayd
