#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A list of several segments, made by the recorder over a (software) TPM that is restarted, extended by
# somebody else and unplugged: it verifies, and whatever is taken out, put in, cut or bent is found.
# shellcheck source=tests/lib.sh
. "$TEST_LIB"
# shellcheck source=tests/lib/swtpm.sh
. "$(dirname "$TEST_LIB")/lib/swtpm.sh"
need swtpm tpm2_shutdown tpm2_pcrextend tpm2_pcrread python3

files=0

lines() {
	wc -l <"$SCRATCH/acks"
}

more_than() {
	[ "$(lines)" -gt "$1" ]
}

# drive DIR: the recorder at work, in mode group; its pid is in $PID.
drive() {
	before=$(lines)
	background "$RECORDER_DRIVE" run "$1" group "$SCRATCH/acks" $((files * 20000)) 2>>"$SCRATCH/log"
	files=$((files + 1))
	wait_for 20 more_than "$((before + 20))"
}

# run DIR: that, and it ends in order.
run() {
	drive "$1"
	kill -TERM "$PID"
	wait "$PID" || fail "a run ends with $?"
}

# killed DIR: that, and it does not.
killed() {
	drive "$1"
	kill -KILL "$PID"
	wait "$PID" 2>/dev/null || true
}

verify() { # STATUS [ARG]... : of the files, or folder, at the end
	local status=$1
	shift
	expect "$status" "$ASSAY" log verify -v --pcrs "$SCRATCH/pcrs" "$@"
}

found() { # TEXT [ARG]... : it does not hold, and the text says why
	local text=$1
	shift
	verify 1 "$@"
	expect_text "$OUT" "$text"
}

# another NAME: a copy of the list, to be changed, in $DIR.
another() {
	DIR=$SCRATCH/$1
	mkdir "$DIR"
	cp "$list"/segment-* "$DIR"
}

seg() { # N: its path in $DIR
	printf '%s/segment-%08d' "$DIR" "$1"
}

: >"$SCRATCH/acks"
list=$SCRATCH/list other=$SCRATCH/other
mkdir -m 700 "$list" "$other"

# A machine of its own, whose list is of the same shape.
swtpm_begin elsewhere
run "$other"
swtpm_reset
run "$other"
swtpm_reset
run "$other"
swtpm_reset
run "$other"
swtpm_reset
run "$other"

swtpm_begin
run "$list" # 1
tpm2_shutdown -T "$TCTI"
swtpm_reset # a hibernation: resetCount stays
run "$list" # 2
tpm2_pcrextend -T "$TCTI" 10:sha1="$(printf '%040d' 7)",sha256="$(printf '%064d' 7)"
killed "$list" # 3, broken; killed and taken up again
run "$list"
killed "$list"
swtpm_reset
run "$list" # 4: 3 did not end in order
swtpm_reset
killed "$list" # 5
run "$list"
[ "$(find "$list" -name 'segment-*' | wc -l)" = 5 ] || fail "$(ls "$list")"
tpm2_pcrread -T "$TCTI" sha1:all+sha256:all >"$SCRATCH/pcrs"

# As it is.
verify 0 "$list"
expect_text "$OUT" "^segment 1, first: [0-9]+ entries; assayd ended in order"
expect_text "$OUT" "^segment 2, reset: .*; closed as broken \(PCR 10: banks sha1 and sha384 disagree\)"
expect_text "$OUT" "^segment 3, broken: .*; assayd did not end in order"
expect_text "$OUT" "^segment 3: a gap"
expect_text "$OUT" "^segment 5, reset: .*; the last"
expect_text "$OUT" "^PCR 10: reached after entry"
expect_text "$OUT" "^verdict: holds, with a gap: .* before segment 3 "
verify 1 --complete "$list"
verify 0 "$list"/segment-0000000{1,2,3,4,5}
verify 0 "$list/segment-00000005"
verify 0 --first 4 --complete "$list"/segment-0000000{4,5}
expect_text "$OUT" "^verdict: holds$"
verify 0 --first 5 "$list/segment-00000005"
expect 0 "$ASSAY" log verify -v "$list"
expect_text "$OUT" "no PCR value was given"
verify 0 --json "$list"
python3 -c '
import json, sys
v = json.load(sys.stdin)
s = v["segments"]
assert v["verdict"] == "holds" and len(s) == 5
assert [x["number"] for x in s] == [1, 2, 3, 4, 5]
assert [x["end"] for x in s] == ["stopped", "broken", "cut-off", "stopped", "open"], s
assert [x["gap"] for x in s] == [False, False, True, False, False]
assert all(x["link"] == "follows" for x in s)
' <<<"$OUT" || fail "--json"

# The one that is said to be broken, and is not: nobody else extended.
verify 2 --first 0 "$list"
verify 2 --first 1 "$SCRATCH/pcrs"
expect 2 "$ASSAY" log verify "$list/segment-00000005" "$SOURCE/tests/vectors/kernel/6.1.0/sha1-ima/binary_runtime_measurements"
expect_text "$ERR" "not a segment file"
mkdir "$SCRATCH/empty"
verify 2 "$SCRATCH/empty"
expect_text "$ERR" "there is no segment in"

# Each taken out.
for n in 1 2 3 4 5; do
	another "without-$n"
	rm "$(seg $n)"
	case $n in
	1) found "segment 2: segment 1, before it, is missing" "$DIR" ;;
	5) found "a PCR value is not reached" "$DIR" ;;
	*) found "segment $((n + 1)): segment $n, before it, is missing" "$DIR" ;;
	esac
done
another without-3-4
rm "$(seg 3)" "$(seg 4)"
found "segment 5: segments 3 to 4, before it, are missing" "$DIR"

# Two swapped, by name and by order; one twice.
another swapped
mv "$(seg 2)" "$DIR/x"
mv "$(seg 3)" "$(seg 2)"
mv "$DIR/x" "$(seg 3)"
found "segment 3: segment 2, before it, is missing" "$DIR"
DIR=$list
found "segment 2: it stands behind segment 3" "$(seg 1)" "$(seg 2)" "$(seg 3)" "$(seg 2)" "$(seg 4)" "$(seg 5)"
found "segment 4: it stands behind segment 4" "$(seg 1)" "$(seg 2)" "$(seg 3)" "$(seg 4)" "$(seg 4)" "$(seg 5)"
found "segment 5: .*out of order|PCR value is not reached" "$(seg 1)" "$(seg 2)" "$(seg 3)" "$(seg 5)" "$(seg 4)"

# One of another machine's; all but the last of another's.
for n in 1 2 3 4 5; do
	another "foreign-$n"
	cp "$other/segment-0000000$n" "$DIR"
	verify 1 "$DIR"
	[[ $n = 5 ]] || expect_text "$OUT" "segment $n has|segment $n is not the one|segment $n: .*counts|segment $n has"
done
another foreign-all
cp "$other"/segment-0000000[1234] "$DIR"
found "segment 5: segment 4 (is not the one|has)" "$DIR"

# Cut, added to, and changed where each entry by itself is right.
# One process bends them all: it reads lines "PATH HOW" and answers each.
cat >"$SCRATCH/bend.py" <<'PY'
import hashlib, struct, sys

def records(b, written):
    at = 24576
    while at < 24576 + written:
        start, at = at, at + 24
        for _ in range(2):
            at += 4 + struct.unpack_from('<I', b, at)[0]
        yield start, at

def bend(path, how):
    b = bytearray(open(path, 'rb').read())
    written, = struct.unpack_from('<Q', b, 20480)
    r = list(records(b, written)) if ':' not in how else []
    if how == 'cut':          # by one entry
        struct.pack_into('<Q', b, 20480, r[-1][0] - 24576)
    elif how == 'short':      # in the middle of one
        struct.pack_into('<Q', b, 20480, written - 1)
    elif how == 'add':        # one more, that is right by itself
        one = bytes(b[r[0][0]:r[0][1]])
        b[24576 + written:24576 + written + len(one)] = one
        struct.pack_into('<Q', b, 20480, written + len(one))
    elif how == 'change':     # a waiting one at the end, or the first: of the same length
        start, end = r[0]
        n, = struct.unpack_from('<I', b, start + 24)
        body = start + 24 + 4 + n + 4
        b[end - 2] ^= 1       # the last letter of its name
        b[start + 4:start + 24] = hashlib.sha1(b[body:end]).digest()
    elif how.startswith('head:'): # a field of the head, with the checksum that it then has
        _, at, value = how.split(':')
        value = bytes.fromhex(value)
        b[int(at):int(at) + len(value)] = value
        b[20448:20480] = hashlib.sha256(b[:20448]).digest()
    elif how.startswith('bit:'):
        bit = int(how[4:])
        b[bit // 8] ^= 1 << bit % 8
    else:
        sys.exit(how)
    open(path, 'wb').write(b)

for line in sys.stdin:
    bend(*line.split())
    print('bent', flush=True)
PY
coproc BENDER { exec python3 "$SCRATCH/bend.py"; }
bend() { # N HOW
	local answer=''
	echo "$(seg "$1") $2" >&"${BENDER[1]}"
	read -r answer <&"${BENDER[0]}" && [ "$answer" = bent ] || fail "bend $*"
}
for n in 1 2 3 4; do
	for how in cut short add change; do
		another "$how-$n"
		bend $n $how
		verify 1 "$DIR"
		case $how in
		cut) expect_text "$OUT" "segment $n .*: it was cut|entry of segment $n cannot be right" ;;
		short) expect_text "$OUT" "entry of segment $n cannot be right" ;;
		add) expect_text "$OUT" "segment $n .*: it was added to|entry of segment $n cannot be right" ;;
		change) expect_text "$OUT" "segment $n is not the one|entry of segment $n cannot be right" ;;
		esac
		rm -r "$DIR"
	done
done

# Heads that say something else, checksum and all.
changed=0
for n in 1 3 5; do
	for field in 10:01 10:02 16:09 24:00 32:5a 48:00 80:01 88:00 96:ff 100:77 104:00 128:01; do
		another head
		bend $n "head:$field"
		if ! cmp -s "$(seg $n)" "$list/segment-0000000$n"; then
			changed=$((changed + 1))
			verify 1 "$DIR"
		fi
		rm -r "$DIR"
	done
done

[ $changed -ge 30 ] || fail "only $changed of 36 heads were changed"

# Any bit of the head, and of the commit page.
another bits
for ((i = 0; i < 60; i++)); do
	n=$((RANDOM % 5 + 1)) bit=$(((RANDOM * 32768 + RANDOM) % (20496 * 8)))
	bend $n "bit:$bit"
	status=0
	"$ASSAY" log verify -v --pcrs "$SCRATCH/pcrs" "$DIR" >"$SCRATCH/stdout" 2>&1 || status=$?
	# What was synced says nothing to a verifier.
	[ $status != 0 ] || [ $((bit / 8)) -ge 20488 ] || fail "bit $bit of segment $n is not found"
	[ $status != 0 ] && [ $status != 1 ] && [ $status != 2 ] && fail "$status: $(cat "$SCRATCH/stdout")"
	bend $n "bit:$bit"
done
verify 0 "$DIR"

# show and stat say where an entry is.
"$ASSAY" log show "$list" >"$SCRATCH/shown"
grep -q -E "^$list/segment-00000003: 10 [0-9a-f]{40} ima-buf .* assay-state " "$SCRATCH/shown" || fail "show"
"$ASSAY" log show --json "$list/segment-00000002" "$list/segment-00000004" | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert {r["segment"] for r in rows} == {2, 4} and rows[0]["index"] == 0
assert rows[-1]["file"].endswith("segment-00000004")
' || fail "show --json"
expect 0 "$ASSAY" log stat "$list"
expect_text "$OUT" "^segment +5, "
expect 0 "$ASSAY" log stat --json "$list"
python3 -c '
import json, sys
assert [json.loads(line)["segment"] for line in sys.stdin] == [1, 2, 3, 4, 5]
' <<<"$OUT" || fail "stat --json"

# Whoever breaks in later can extend an entry that names another head, and so another past. Only the
# first that speaks of one counts: it was there before.
another past
python3 - "$(seg 5)" "$(seg 4)" "$SCRATCH/pcrs" "$SCRATCH/pcrs-past" <<'PY'
import hashlib, re, struct, sys
path, before, pcrs, out = sys.argv[1:]
b = bytearray(open(path, 'rb').read())
written, = struct.unpack_from('<Q', b, 20480)
older = bytearray(open(before, 'rb').read())
n, = struct.unpack_from('<Q', older, 20480)
# The last entry of the one before is left out, and a head is made that says that it never was.
at = 24576
while at < 24576 + n:
    start, at = at, at + 24
    for _ in range(2):
        at += 4 + struct.unpack_from('<I', older, at)[0]
struct.pack_into('<Q', older, 20480, start - 24576)
open(before, 'wb').write(older)
b[48:80] = hashlib.sha256(older[24576:start]).digest()
struct.pack_into('<Q', b, 80, start - 24576)
b[20448:20480] = hashlib.sha256(b[:20448]).digest()
field = lambda x: struct.pack('<I', len(x)) + x
def entry(buf):
    data = field(b'sha256:\0' + hashlib.sha256(buf).digest()) + field(b'assay-state\0') + field(buf)
    return data, struct.pack('<I', 10) + hashlib.sha1(data).digest() + field(b'ima-buf') + field(data)
extra = [entry(b'v=1;event=mode;mode=each;'), entry(b'v=1;event=segment;head=%s;' % bytes(b[20448:20480]).hex().encode())]
records = b''.join(r for _, r in extra)
b[24576 + written:24576 + written + len(records)] = records
struct.pack_into('<Q', b, 20480, written + len(records))
open(path, 'wb').write(b)
bank, value = None, {}
for line in open(pcrs):
    m = re.match(r' *(sha\d+):', line)
    bank = m.group(1) if m else bank
    m = re.match(r' *10 *: 0x([0-9A-F]+)', line)
    if m:
        v = bytes.fromhex(m.group(1))
        for data, _ in extra:
            v = hashlib.new(bank, v + hashlib.new(bank, data).digest()).digest()
        value[bank] = v
open(out, 'w').writelines(f'{k} 10 {v.hex()}\n' for k, v in value.items())
PY
expect 1 "$ASSAY" log verify -v --pcrs "$SCRATCH/pcrs-past" "$DIR"
expect_text "$OUT" "^PCR 10: reached"
expect_text "$OUT" "segment 5: no entry of it that counts names its head"
