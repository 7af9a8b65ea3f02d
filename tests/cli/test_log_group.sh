#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Lists with batch records, written by another program from the documented format: both forms,
# what each flip does, and that evmctl replays the anchored one.
. "$TEST_LIB"
need python3 evmctl

flat=$SCRATCH/flat anchored=$SCRATCH/anchored pcrs=$SCRATCH/pcrs
"$SOURCE/tests/cli/group_list.py" "$flat" "$anchored" "$pcrs"

has() {
	[[ "$OUT$ERR" == *"$1"* ]] || fail "'$1' is not in '$OUT$ERR'"
}

expect 0 "$ASSAY" log verify -v -c --pcrs "$pcrs" "$flat"
has "flat form: 315 entries"
has "3 batch records were compared with the entries they cover"
has "2 violations, 1 of them protected by batch records"
has "entry 11, PCR 10, '/kernel/module-2.ko': its data are protected by nothing"
expect 0 "$ASSAY" log verify -v --jobs 1 "$flat"

# The other form, as exported and as that program wrote it.
"$ASSAY" log export -f anchored "$flat" 2>"$SCRATCH/note" | cmp - "$anchored" || fail "anchored"
grep -q "305 of 315 entries are left out" "$SCRATCH/note" || fail "$(cat "$SCRATCH/note")"
expect 0 "$ASSAY" log verify -v --pcrs "$pcrs" "$anchored"
expect 1 "$ASSAY" log verify -v -c --pcrs "$pcrs" "$anchored"
has "3 batch records stand for 305 entries that this file does not hold"
expect 0 "$ASSAY" log export -f anchored --out "$SCRATCH/out" --json "$flat"
expect_text "$OUT" '"left_out": ?[1-9]'
"$ASSAY" log export -f binary "$flat" | cmp - "$flat" || fail "binary"

# A record of the kernel in front of the first batch record hides which form it is.
"$SOURCE/tests/cli/group_list.py" "$SCRATCH/flat2" "$SCRATCH/anchored2" "$SCRATCH/pcrs2" kernel-first
expect 0 "$ASSAY" log verify -v -c --pcrs "$SCRATCH/pcrs2" "$SCRATCH/flat2"
expect 0 "$ASSAY" log verify -v --pcrs "$SCRATCH/pcrs2" "$SCRATCH/anchored2"
has "anchored form"
"$ASSAY" log export -f anchored "$SCRATCH/flat2" | cmp - "$SCRATCH/anchored2" || fail "anchored2"

# A segment file: its PCRs began elsewhere, and what is behind the written bytes does not count.
"$SOURCE/tests/cli/group_list.py" "$SCRATCH/segment" "$SCRATCH/records" "$SCRATCH/pcrs3" segment
expect 1 "$ASSAY" log verify -v -c --pcrs "$SCRATCH/pcrs3" "$SCRATCH/segment"
expect 0 "$ASSAY" log verify -v --pcrs "$SCRATCH/pcrs3" "$SCRATCH/segment"
has "holds from its first entry on"
has "segment list, sha1 column, little-endian, flat form: 315 entries"
"$ASSAY" log export -f binary "$SCRATCH/segment" | cmp - "$flat" || fail "segment"
expect 1 "$ASSAY" log verify -v --pcrs "$pcrs" "$SCRATCH/segment"
sed '1s/ASSAYSEG\x01/ASSAYSEG\x02/' "$SCRATCH/segment" >"$SCRATCH/other"
expect 2 "$ASSAY" log verify -v --pcrs "$SCRATCH/pcrs3" "$SCRATCH/other"
printf '\x77' | dd of="$SCRATCH/segment" bs=1 seek=9000 conv=notrunc status=none
expect 2 "$ASSAY" log verify -v --pcrs "$SCRATCH/pcrs3" "$SCRATCH/segment"

# Roles, and counts.
"$ASSAY" log show --json "$flat" | python3 -c '
import json, sys
roles = "".join(json.loads(line)["role"][0] for line in sys.stdin)
assert roles == "sss" + "ccc" + "bb" + "cc" + "ss" + 300 * "c" + "b" + "ss", roles
' || fail "roles"
expect 0 "$ASSAY" log stat "$flat"
has "batch records    3, for 305 entries"
has "form             flat"
expect 0 "$ASSAY" log stat "$anchored"
has "form             anchored"

# Any bit of any covered entry, its name, violation or PCR.
python3 - "$flat" "$SCRATCH" <<'PY'
import sys
flat = open(sys.argv[1], 'rb').read()
at = [flat.index(b'/usr/bin/bash'), flat.index(b'/var/log/syslog'), flat.index(b'/var/log/syslog') - 20,
      flat.index(b'/usr/bin/eleven'), flat.index(b'ABAT') + 9, flat.index(b'ABAT') + 40,
      flat.index(b'/kernel/module-1'), flat.index(b'count=2') + 6, flat.index(b'/usr/share/file-299')]
for i, byte in enumerate(at):
    bent = bytearray(flat)
    bent[byte] ^= 1
    open(f'{sys.argv[2]}/bent-{i}', 'wb').write(bent)
open(f'{sys.argv[2]}/mixed', 'wb').write(flat[:flat.index(b'/usr/share/file-0\0') - 86] +
                                        flat[flat.index(b'/usr/share/file-299') + 20:])
open(f'{sys.argv[2]}/open', 'wb').write(flat[:flat.index(b'/usr/share/file-9\0') + 18])
PY
for f in "$SCRATCH"/bent-*; do
	expect 1 "$ASSAY" log verify -v --pcrs "$pcrs" "$f"
done
expect 1 "$ASSAY" log verify -v --pcrs "$pcrs" "$SCRATCH/mixed"
has "batch record covers 302 entries from 8 on"

# What a batch record covers cannot be left out by hiding that it is one: not under another template's
# name, which no digest protects, nor by an entry, in a PCR that nobody asks for, which says that the
# kernel made it.
python3 - "$anchored" "$SCRATCH" <<'PY'
import hashlib, struct, sys
anchored = open(sys.argv[1], 'rb').read()
field = lambda b: struct.pack('<I', len(b)) + b
for i, name in enumerate((b'd-ng|n-ng|buf', b'ima-sig', b'd-ng|n-ng|sig')):
    open(f'{sys.argv[2]}/hidden-{i}', 'wb').write(anchored.replace(field(b'ima-buf'), field(name)))
buf = b'v=1;event=kernel;count=1;'
data = field(b'sha256:\0' + hashlib.sha256(buf).digest()) + field(b'assay-state\0') + field(buf)
says = struct.pack('<I', 30) + hashlib.sha1(data).digest() + field(b'ima-buf') + field(data)
at, out = 0, b''
while at < len(anchored):
    start, at = at, at + 24
    for _ in range(2):
        at += 4 + struct.unpack_from('<I', anchored, at)[0]
    out += says * (b'assay-batch\0' in anchored[start:at]) + anchored[start:at]
open(f'{sys.argv[2]}/hidden-3', 'wb').write(out)
PY
for f in "$SCRATCH"/hidden-*; do
	expect 1 "$ASSAY" log verify -v --pcrs "$pcrs" "$f"
done
has "batch record among the kernel's records"

# A segment whose head says that the PCRs held something before: only with a proved entry that names this
# head. Else a list could be cut anywhere in front.
python3 - "$SCRATCH" <<'PY'
import hashlib, struct, sys
BANKS = ('sha1', 20, 4), ('sha256', 32, 11)
field = lambda b: struct.pack('<I', len(b)) + b

def entry(name, buf, pcr=10):
    data = field(b'sha256:\0' + hashlib.sha256(buf).digest()) + field(name + b'\0') + field(buf)
    return pcr, data, struct.pack('<I', pcr) + hashlib.sha1(data).digest() + field(b'ima-buf') + field(data)

def extend(values, entries):
    for pcr, data, _ in entries:
        if pcr == 10:
            values = [hashlib.new(b, v + hashlib.new(b, data).digest()).digest()
                      for (b, _, _), v in zip(BANKS, values)]
    return values

def head(base):
    h = bytearray(20480)
    struct.pack_into('<8sHHIQ', h, 0, b'ASSAYSEG', 1, 0, 2, 1)
    struct.pack_into('<HH', h, 112, *(alg for _, _, alg in BANKS))
    for i, value in enumerate(base):
        at = 128 + (10 * 8 + i) * 64
        h[at:at + len(value)] = value
    h[20448:] = hashlib.sha256(h[:20448]).digest()
    return bytes(h)

def write(name, h, entries, values=None):
    records = b''.join(record for _, _, record in entries)
    commit = struct.pack('<QQ', len(records), len(records)) + bytes(4080)
    open(f'{sys.argv[1]}/{name}', 'wb').write(h + commit + records)
    if values:
        open(f'{sys.argv[1]}/{name}.pcrs', 'w').writelines(
            f'{b} 10 {v.hex()}\n' for (b, _, _), v in zip(BANKS, values))

def says(h, pcr=10):
    return entry(b'assay-state', b'v=1;event=segment;number=1;head=%s;' % h[20448:].hex().encode(), pcr)

zero = [bytes(n) for _, n, _ in BANKS]
files = [entry(b'file', b'%d' % i) for i in range(9)]
write('whole', head(zero), files, extend(zero, files))
cut = head(extend(zero, files[:4]))
write('cut-0', cut, files[4:])
write('cut-1', cut, [says(cut, 12)] + files[4:])                       # where nobody asks for
write('cut-2', cut, files[4:] + [says(cut)])                           # behind what is proved
write('cut-3', cut, [entry(b'assay-state', b'v=1;event=mode;mode=group;', 30), says(cut),
                     entry(b'assay-state', b'v=1;event=kernel;count=5;', 30)] + files[4:]) # waiting
# Only the first entry that speaks of a head counts, and none that is called the kernel's instead.
true = head(zero)
other = bytearray(true)
other[24] ^= 1                                                        # when it was made
other[20448:] = hashlib.sha256(other[:20448]).digest()
other = bytes(other)
both = [says(true)] + files + [says(other)]
kernel = entry(b'assay-state', b'v=1;event=kernel;count=1;', 30)
write('past-0', true, both, extend(zero, both))
write('past-1', other, both)
write('past-2', other, [kernel] + both)
base = [hashlib.new(b, b'firmware').digest() for b, _, _ in BANKS]
late = [says(head(base))] + files
write('late', head(base), late, extend(base, late))
PY
expect 0 "$ASSAY" log verify -c --pcrs "$SCRATCH/whole.pcrs" "$SCRATCH/whole"
has "verdict: holds"
for i in 0 1 2 3; do
	expect 1 "$ASSAY" log verify --pcrs "$SCRATCH/whole.pcrs" "$SCRATCH/cut-$i"
	has "does not hold: it begins at PCR values that no proved entry vouches for"
done
expect 0 "$ASSAY" log verify --first 1 --pcrs "$SCRATCH/past-0.pcrs" "$SCRATCH/past-0"
for i in 1 2; do
	expect 1 "$ASSAY" log verify --first 1 --pcrs "$SCRATCH/past-0.pcrs" "$SCRATCH/past-$i"
	has "PCR 10: reached after"
	has "segment 1: no entry of it that counts names its head"
done
expect 0 "$ASSAY" log verify --pcrs "$SCRATCH/late.pcrs" "$SCRATCH/late"
has "holds from its first entry on"
expect 1 "$ASSAY" log verify -c --pcrs "$SCRATCH/late.pcrs" "$SCRATCH/late"

# A folder is shown with the file of each entry, however deep and whatever its name.
deep=$SCRATCH/$'odd"\x1b\xff'
for i in {1..6}; do deep+=/$(printf "$i%.0s" {1..100}); done
mkdir -p "$deep"
cp "$SCRATCH/whole" "$deep/segment-00000001"
expect 0 "$ASSAY" log show "$deep"
[ "$(grep -c '/6*/segment-00000001' "$SCRATCH/stdout")" = 9 ] || fail "not 9 entries of it: $OUT"
for command in show:0 verify:1 stat:0; do # nothing vouches for its head
	expect "${command#*:}" "$ASSAY" log "${command%:*}" --json "$deep"
	python3 -c '
import json, sys
text = open(sys.argv[1], "rb").read().decode()
for line in text.splitlines():
    json.loads(line)
assert "666/segment-00000001" in text
' "$SCRATCH/stdout" || fail "$command --json: $OUT"
done

# An end without its batch record has no standing.
expect 1 "$ASSAY" log verify -v -c "$SCRATCH/open"
has "12 entries at the end wait for a batch record"
expect 0 "$ASSAY" log verify -v "$SCRATCH/open"

# evmctl takes the anchored form for what it is to a TPM.
evmctl_pcrs "$pcrs"
expect 0 evmctl ima_measurement --ignore-violations --pcrs "sha1,$SCRATCH/evmctl.sha1" \
	--pcrs "sha256,$SCRATCH/evmctl.sha256" "$anchored"
has "Matched per TPM bank"
