#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Much at once, by users without rights: ten workers that make, change, run and delete scripts (for five minutes in a
# long run), thousands of short programs, and three who read all there is. Nobody is refused, and all that ran or
# was read is in the list.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
: "${BRIEF:?}"
hang_test mount=512M tpm
seconds=4 execs=$((3000 / SLOW)) files=$((3000 / SLOW))
[ -z "$LONG" ] || { seconds=300 execs=40000 files=30000 DAEMON_SECONDS=900 ASK_SECONDS=300; }
user
printf '%s\n' 'measure func=FILE_CHECK mask=^MAY_READ' 'measure func=BPRM_CHECK' >"$SCRATCH/policy"
start_hang "deadline_ms=$FAR_DEADLINE_MS"

# ---- scripts ---------------------------------------------------------------------------------------------------
cat >"$SCRATCH/scripts.py" <<'EOP'
import hashlib, os, subprocess, sys, time
folder, seconds = sys.argv[1], float(sys.argv[2])
for me in range(10):
    if os.fork() == 0: break
else:
    sys.exit(max(os.WEXITSTATUS(os.wait()[1]) for _ in range(10)))
end, turn, worst, seen = time.monotonic() + seconds, 0, 0, []
while time.monotonic() < end:
    path = '%s/script-%d-%d' % (folder, me, turn % 7)
    word = 'worker %d turn %d' % (me, turn)
    text = '#!/bin/sh\necho %s\n' % word
    began = time.monotonic()
    if os.path.exists(path) and turn % 3:
        with open(path, 'r+') as f: # in place
            f.write(text)
            f.truncate()
    else:
        with open(path, 'w') as f: f.write(text)
        os.chmod(path, 0o755)
    said = subprocess.run([path], stdout=subprocess.PIPE, check=True, text=True).stdout
    assert said == word + '\n', said
    seen.append('sha256:%s %s\n' % (hashlib.sha256(text.encode()).hexdigest(), path))
    worst = max(worst, time.monotonic() - began)
    if turn % 5 == 4: os.unlink(path)
    turn += 1
os.write(1, ''.join(seen).encode())
os.write(2, b'%d scripts ran, the slowest took %d ms\n' % (turn, worst * 1000))
os._exit(0)
EOP
as_user timeout -s KILL $((seconds + 2 * PATIENCE)) python3 "$SCRATCH/scripts.py" "$MNT" $seconds >"$SCRATCH/seen" 2>"$SCRATCH/said" ||
	fail "a script was not run: $(tail -n 3 "$SCRATCH/said")"
awk '{ n += $1; if ($(NF - 1) > w) w = $(NF - 1) } END { print n " scripts ran, the slowest took " w " ms" }' "$SCRATCH/said"
entries | cut -d ' ' -f 4,5 | sort -u >"$SCRATCH/measured"
sort -u "$SCRATCH/seen" | comm -23 - "$SCRATCH/measured" >"$SCRATCH/missing"
[ -s "$SCRATCH/seen" ] || fail 'nothing has run'
[ ! -s "$SCRATCH/missing" ] || fail "ran and not measured: $(wc -l <"$SCRATCH/missing"), $(head -n 3 "$SCRATCH/missing")"

# ---- programs --------------------------------------------------------------------------------------------------
mkdir "$MNT/bin"
for i in {1..50}; do cp "$BRIEF" "$MNT/bin/$i" && echo "$MNT/bin/$i"; done >"$SCRATCH/programs"
asks exec 16 "$SCRATCH/programs-told" $((execs / 50)) <"$SCRATCH/programs"
need_quick "$SCRATCH/programs-told" $SLACK_MS
need_allowed "$SCRATCH/programs-told"

# ---- everything ------------------------------------------------------------------------------------------------
make_files "$MNT/all" $files >"$SCRATCH/all"
sed 's/^/ok 0 /' "$SCRATCH/all" >"$SCRATCH/all-told"
readers=()
for i in 1 2 3; do
	as_user find "$MNT/all" -type f -exec cat {} + >"$SCRATCH/read-$i" 2>"$SCRATCH/read-$i.err" &
	readers+=($!)
	_pids+=($!)
done
for i in 1 2 3; do
	wait "${readers[i - 1]}" || fail "a reader was refused: $(head -n 1 "$SCRATCH/read-$i.err")"
	[ "$(wc -c <"$SCRATCH/read-$i")" = "$(tr -d '\n' <"$SCRATCH/all" | wc -c)" ] || fail 'a reader did not get it all'
done
for counter in deadlines refused overflows errors; do
	[ "$(status events.$counter)" = 0 ] || fail "$(status events.$counter) $counter: $(tail -n 3 "$LOG")"
done
hang_end "$SCRATCH"/{programs,all}-told
