#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The boot_aggregate against the PCRs: those of all real kernels agree; one PCR changed, and none does.
. "$TEST_LIB"
need python3

V=$SOURCE/tests/vectors/kernel

has() {
	[[ "$OUT$ERR" == *"$1"* ]] || fail "'$1' is not in '$OUT$ERR'"
}

# The list and the values of folder $1, with one more entry of PCR 10.
file_named_so() {
	python3 - "$1" "$SCRATCH" <<'PY'
import hashlib, struct, sys
field = lambda b: struct.pack('<I', len(b)) + b
data = field(b'sha256:\0' + hashlib.sha256(b'anything').digest()) + field(b'boot_aggregate\0')
record = struct.pack('<I', 10) + hashlib.sha1(data).digest() + field(b'ima-ng') + field(data)
with open(f'{sys.argv[2]}/file.list', 'wb') as f:
    f.write(open(f'{sys.argv[1]}/binary_runtime_measurements', 'rb').read() + record)
with open(f'{sys.argv[2]}/file.pcrs', 'w') as f:
    for line in open(f'{sys.argv[1]}/pcrs.txt'):
        bank, pcr, value = line.split()
        if pcr == '10' and bank != 'sha256': # which kernels pad what is another test's
            continue
        if pcr == '10':
            value = hashlib.sha256(bytes.fromhex(value) + hashlib.sha256(data).digest()).hexdigest()
        f.write(f'{bank} {pcr} {value}\n')
PY
}

for d in "$V"/*/*/; do
	for f in "$d"binary_* "$d"ascii_runtime_measurements; do
		expect 0 "$ASSAY" log verify -v --pcrs "$d/pcrs.txt" "$f"
		expect_text "$OUT" "^boot_aggregate, entry 0: agrees with PCR 0,1,2,3,4,5,6,7(,8,9)? of bank sha"
	done
	# An ordinary user's file, which the kernel calls by its last component if the path is too long.
	file_named_so "$d"
	expect 0 "$ASSAY" log verify -v --pcrs "$SCRATCH/file.pcrs" "$SCRATCH/file.list"
	has "boot_aggregate, entry 0: agrees"
	expect_text "$OUT" "^verdict: holds$"
	for pcr in 0 4 7; do
		awk -v p=$pcr '$1 == "sha256" || $2 != 10 { if ($2 == p) $3 = substr($3, 2) "0"; print }' \
			"$SCRATCH/file.pcrs" >"$SCRATCH/other"
		expect 1 "$ASSAY" log verify -v --pcrs "$SCRATCH/other" "$SCRATCH/file.list"
		has "boot_aggregate, entry 0: DIFFERS"
		awk -v p=$pcr '$2 == p { $3 = substr($3, 2) "0" } { print }' "$d/pcrs.txt" >"$SCRATCH/other"
		cmp -s "$SCRATCH/other" "$d/pcrs.txt" && fail "nothing was changed"
		expect 1 "$ASSAY" log verify -v --pcrs "$SCRATCH/other" "$d/binary_runtime_measurements"
		expect_text "$OUT" "^boot_aggregate, entry 0: DIFFERS from PCR 0,1,2,3,4,5,6,7(,8,9)? of bank"
		has "does not hold: the boot_aggregate is not that of the PCR values"
	done
done

run=$V/7.2.13/rich-sha256-ima-sig
list=$run/binary_runtime_measurements
grep -v -E '^sha256 (3|9) ' "$run/pcrs.txt" >"$SCRATCH/few"
expect 0 "$ASSAY" log verify -v --pcrs "$SCRATCH/few" "$list"
has "boot_aggregate, entry 0: not checked: PCRs 3,9 (sha256) were not given as they were at boot"
grep -v -E '^sha256 ' "$run/pcrs.txt" >"$SCRATCH/few"
expect 0 "$ASSAY" log verify -v --json --pcrs "$SCRATCH/few" "$list"
python3 -c '
import json, sys
b = json.load(sys.stdin)["boot_aggregate"]
assert b == {"state": "not-checked", "entry": 0, "bank": "sha256", "pcrs": list(range(10)), "missing": list(range(10))}, b
' <<<"$OUT" || fail "--json: $OUT"
grep -E ' 10 ' "$run/pcrs.txt" >"$SCRATCH/few"
expect 0 "$ASSAY" log verify -v --pcrs "$SCRATCH/few" "$list"
has "not checked"
expect 0 "$ASSAY" log verify -v "$list"
[[ "$OUT" != *"boot_aggregate, "* ]] || fail "$OUT"

# Lists of which it is known what they should say.
python3 - "$SCRATCH" <<'PY'
import hashlib, struct, sys
field = lambda b: struct.pack('<I', len(b)) + b
pcr = {(b, i): hashlib.new(b, b'%d' % i).digest() for b in ('sha1', 'sha256') for i in range(10)}

def agg(bank, n):
    return bank, hashlib.new(bank, b''.join(pcr[bank, i] for i in range(n))).digest()

def entry(name, alg, digest, pcr=10, template=b'ima-ng', extra=b''):
    data = field(alg.encode() + b':\0' + digest) + field(name + b'\0') + extra
    return pcr, data, struct.pack('<I', pcr) + hashlib.sha1(data).digest() + field(template) + field(data)

def write(name, proved, behind=(), hidden=()):
    value = {b: {} for b in ('sha1', 'sha256')}
    for p, data, _ in [*hidden, *proved]:
        for b in value:
            v = value[b].get(p, bytes(hashlib.new(b).digest_size))
            value[b][p] = hashlib.new(b, v + hashlib.new(b, data).digest()).digest()
    open(f'{sys.argv[1]}/{name}', 'wb').write(b''.join(r for _, _, r in [*proved, *behind]))
    with open(f'{sys.argv[1]}/{name}.pcrs', 'w') as f:
        for b in value:
            for i in range(10):
                value[b].setdefault(i, pcr[b, i])
            f.writelines(f'{b} {i} {v.hex()}\n' for i, v in value[b].items())

good, bad = entry(b'boot_aggregate', *agg('sha256', 10)), entry(b'boot_aggregate', 'sha256', bytes(31) + b'x')
x, zero = entry(b'/bin/sh', 'sha256', bytes(32)), entry(b'boot_aggregate', 'sha256', bytes(32))
write('good', [good, x])
write('decoy', [entry(b'/bin/sh', 'sha256', bytes(32), pcr=12)], hidden=[good, x])
write('v5.8', [entry(b'boot_aggregate', *agg('sha256', 8)), x])
write('sha1', [entry(b'boot_aggregate', *agg('sha1', 8)), x])
write('sha1-10', [entry(b'boot_aggregate', *agg('sha1', 10)), x])
write('zero', [zero, x])
write('kexec', [bad, x, good, x])
write('file', [good, x, bad, x]) # it still agrees: no kernel after it can have found others
write('kexec-bad', [bad, x, entry(b'boot_aggregate', 'sha256', bytes(31) + b'y'), x])
write('file-only', [x, bad])
write('many', [good, *(entry(b'boot_aggregate', 'sha256', b'%032d' % i) for i in range(5000))])
write('behind', [bad, x], [good])
write('behind-2', [good, x], [bad])
write('other-pcr', [good, entry(b'/etc/x', 'sha256', bytes(32), pcr=9), x])
for i, (name, extra) in enumerate(((b'd-modsig|n-ng', b''), (b'd-ng|xattrnames', b''), (b'd-ng|n-ng|buf', field(b'')))):
    write(f'renamed-{i}', [entry(b'boot_aggregate', 'sha256', bytes(31) + b'x', template=name, extra=extra), x])
write('keyring', [good, entry(b'boot_aggregate', 'sha256', hashlib.sha256(b'key').digest(), template=b'ima-buf',
                             extra=field(b'key'))])
PY
verify() { # STATUS NAME TEXT
	expect "$1" "$ASSAY" log verify --pcrs "$SCRATCH/$2.pcrs" "$SCRATCH/$2"
	has "$3"
}
verify 0 good "entry 0: agrees with PCR 0,1,2,3,4,5,6,7,8,9 of bank sha256"
verify 0 v5.8 "entry 0: agrees with PCR 0,1,2,3,4,5,6,7 of bank sha256"
verify 0 sha1 "entry 0: agrees with PCR 0,1,2,3,4,5,6,7 of bank sha1"
verify 1 sha1-10 "entry 0: DIFFERS from PCR 0,1,2,3,4,5,6,7 of bank sha1"
verify 1 zero "it is zero, a kernel without a TPM made it"
verify 0 kexec "entry 2: agrees"
has "the list's first does not"
verify 0 file "entry 0: agrees"
verify 1 kexec-bad "entry 0: DIFFERS"
verify 0 file-only "not checked: the list begins with none"
verify 0 many "entry 0: agrees"
verify 1 behind "entry 0: DIFFERS" # what no value proves says nothing
verify 0 behind-2 "entry 0: agrees"
verify 0 other-pcr "not checked: PCRs 9 (sha256) were not given as they were at boot"
verify 0 keyring "entry 0: agrees"
# A list without the entries of a PCR: said, and whoever names the PCR refuses it.
echo "sha256 11 $(printf '%064d' 1)" >>"$SCRATCH/good.pcrs"
verify 0 good "PCR 11 was extended, but by no entry of this list"
expect 1 "$ASSAY" log verify --pcrs "$SCRATCH/good.pcrs" --pcr "sha256:11:$(printf '%064d' 1)" "$SCRATCH/good"
for i in 0 1 2; do # no digest protects a template's name
	verify 1 renamed-$i "entry 0: DIFFERS"
done
# Nothing of PCR 10 is in it, and one entry of a PCR that nobody uses.
verify 0 decoy "PCR 10 was extended, but by no entry of this list"
expect 1 "$ASSAY" log verify --complete --pcrs "$SCRATCH/decoy.pcrs" "$SCRATCH/decoy"
has "not all that was extended is in it"
