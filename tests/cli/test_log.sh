#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# "assay log" on the lists of real kernels: what is shown, what is verified, exit statuses.
. "$TEST_LIB"
need python3

V=$SOURCE/tests/vectors/kernel
run=$V/7.2.13/rich-sha256-ima-sig
list=$run/binary_runtime_measurements

to_full() {
	"$ASSAY" "$@" >/dev/full
}

# has TEXT: in what the last command printed.
has() {
	[[ "$OUT$ERR" == *"$1"* ]] || fail "'$1' is not in '$OUT$ERR'"
}

# Every list of every run, binary and ascii, against both kinds of PCR files.
for d in "$V"/*/*/; do
	for f in "$d"binary_* "$d"ascii_*; do
		for p in pcrs.txt pcrread.txt; do
			expect 0 "$ASSAY" log verify --ignore-violations --complete --pcrs "$d$p" "$f"
			[[ "$OUT" == *"verdict: holds" ]] || fail "$f: $OUT"
		done
	done
done

# Violations are a reason to fail, and each says that nothing protects it.
expect 1 "$ASSAY" log verify --pcrs "$run/pcrs.txt" "$list"
has "there are violations"
[ "$(grep -c '^violation: .*protected by nothing' <<<"$OUT")" = "$(grep -c '^violation:' <<<"$OUT")" ] ||
	fail "a violation is not told: $OUT"
[ "$(grep -c '^violation:' <<<"$OUT")" = 6 ] || fail "not 6 violations: $OUT"

# A kernel that padded SHA-1 into two of the banks.
expect 0 "$ASSAY" log verify -v -P "$V/6.1.0/sha1-ima/pcrs.txt" "$V/6.1.0/sha1-ima/binary_runtime_measurements"
has "sha256    reached after entry 456, with digests of its own"
has "sha512    reached after entry 456, with padded SHA-1 digests"

# Threads change nothing.
for jobs in 1 2 7; do
	expect 0 "$ASSAY" log verify -v -P "$run/pcrs.txt" --jobs $jobs "$list"
	[ "${first:=$OUT}" = "$OUT" ] || fail "other output with $jobs jobs"
done

# One value from the command line; a wrong one; one for another PCR; standard input.
value=$(awk '$1 == "sha256" && $2 == 10 { print $3 }' "$run/pcrs.txt")
expect 0 "$ASSAY" log verify -v --pcr "sha256:10:$value" "$list"
has "PCR 11: no value was given; its 6 entries are not proved"
expect 1 "$ASSAY" log verify -v --complete --pcr "sha256:10:$value" "$list"
expect 0 "$ASSAY" log verify -v --pcr "sha256:10:0x$value" - <"$list"
expect 1 "$ASSAY" log verify -v --pcr "sha256:10:${value//A/B}" "$list"
has "no prefix of the list has this value"
expect 1 "$ASSAY" log verify -v --pcr "sha256:10:$value" --pcr "sha256:12:$value" "$list"
has "PCR 12: NOT REACHED"
expect 1 "$ASSAY" log verify -v --pcr "sha256:10:$(printf '0%.0s' {1..64})" "$list"
has "still at its first value"
expect 0 "$ASSAY" log verify -v "$list"
has "no PCR value was given"

# A list that went on after the PCRs were read: the prefix holds, the rest is named.
boot=$("$ASSAY" log show "$list" | sed -n 1p)
[[ "$boot" == *boot_aggregate* ]] || fail "$boot"
size=$("$ASSAY" log show --json "$list" | sed -n '2s/.*"offset":\([0-9]*\),.*/\1/p')
head -c "$size" "$list" >"$SCRATCH/first"
cat "$list" "$SCRATCH/first" >"$SCRATCH/ahead"
expect 0 "$ASSAY" log verify -v -P "$run/pcrs.txt" "$SCRATCH/ahead"
has "1 of its 490 entries, behind that, are not proved"
has "2 boot_aggregates: the list was carried over 1 kexec"
expect 1 "$ASSAY" log verify -v -c -P "$run/pcrs.txt" "$SCRATCH/ahead"

# Damage is named with the entry and its place.
head -c -1 "$list" >"$SCRATCH/short"
expect 1 "$ASSAY" log verify -v -P "$run/pcrs.txt" "$SCRATCH/short"
has "entry 494: the list ends in a record's template data (offset 69"
sed 's#/bin/busybox#/bin/busybix#' "$list" >"$SCRATCH/bent"
cmp -s "$list" "$SCRATCH/bent" && fail "nothing was bent"
expect 1 "$ASSAY" log verify -v -P "$run/pcrs.txt" "$SCRATCH/bent"
has "entry 3: template digest is not that of the data; the entry is 'ima-sig', '/bin/busybix' (offset 333)"
tail -c +"$((size + 1))" "$list" >"$SCRATCH/headless"
expect 1 "$ASSAY" log verify -v -P "$run/pcrs.txt" "$SCRATCH/headless"
has "NOT REACHED"

# The list of an sm3 bank has digests as long as sha256's.
if python3 -c 'import hashlib; hashlib.new("sm3")' 2>/dev/null; then
	python3 - "$SCRATCH/sm3" >"$SCRATCH/sm3.pcrs" <<-'PY'
		import hashlib, struct, sys
		pcr, out = bytes(32), b""
		for name in (b"boot_aggregate", b"/bin/sh"):
		    f = lambda d: struct.pack("<I", len(d)) + d
		    data = f(b"sha256:\0" + hashlib.sha256(name).digest()) + f(name + b"\0")
		    digest = hashlib.new("sm3", data).digest()
		    out += struct.pack("<I", 10) + digest + f(b"ima-ng") + f(data)
		    pcr = hashlib.new("sm3", pcr + digest).digest()
		open(sys.argv[1], "wb").write(out)
		print("sm3_256 10", pcr.hex())
	PY
	expect 0 "$ASSAY" log verify -c --pcrs "$SCRATCH/sm3.pcrs" "$SCRATCH/sm3"
	has "sm3 column"
else
	echo 'without sm3: hashlib does not have it'
fi

# A kernel with ima_hash=md5: 16 bytes of digest in "ima" records, 20 in violations and its boot_aggregate.
python3 - "$SCRATCH" <<-'PY'
	import hashlib, struct, sys
	for order in '<>':
	    pcr = {b: bytes(hashlib.new(b).digest_size) for b in ('sha1', 'sha256')}
	    out, text = b'', ''
	    for i, name in enumerate((b'boot_aggregate', b'/sbin/init', b'violated', b'/x', b'/usr/bin/' + 240 * b'n')):
	        d = bytes(20) if name == b'violated' else hashlib.new('md5' if i else 'sha1', name).digest()
	        data = d + name + bytes(256 - len(name))
	        digest = {b: hashlib.new(b, data).digest() for b in pcr}
	        shown = digest['sha1']
	        if name == b'violated':
	            digest, shown = {b: b'\xff' * len(pcr[b]) for b in pcr}, bytes(20)
	        pcr = {b: hashlib.new(b, pcr[b] + digest[b]).digest() for b in pcr}
	        out += struct.pack(order + 'I', 10) + shown + struct.pack(order + 'I', 3) + b'ima' + d
	        out += struct.pack(order + 'I', len(name)) + name
	        text += f'10 {shown.hex()} ima {d.hex()} {name.decode()}\n'
	    open(f'{sys.argv[1]}/md5{order}', 'wb').write(out)
	open(f'{sys.argv[1]}/md5.txt', 'w').write(text)
	open(f'{sys.argv[1]}/md5.pcrs', 'w').writelines(f'{b} 10 {v.hex()}\n' for b, v in pcr.items())
PY
for f in 'md5<' 'md5>' md5.txt; do
	expect 0 "$ASSAY" log verify -v -c --pcrs "$SCRATCH/md5.pcrs" "$SCRATCH/$f"
	has "all of its 5 entries are proved"
	"$ASSAY" log show "$SCRATCH/$f" | cmp - "$SCRATCH/md5.txt" || fail "show $f"
done
"$ASSAY" log export -f binary "$SCRATCH/md5.txt" | cmp - "$SCRATCH/md5<" || fail "md5"
sed 's#/sbin/init#/sbin/inix#' "$SCRATCH/md5<" >"$SCRATCH/md5-bent"
expect 1 "$ASSAY" log verify -v --pcrs "$SCRATCH/md5.pcrs" "$SCRATCH/md5-bent"
has "entry 1: template digest is not that of the data"

# An answer that does not arrive is none.
for command in "log show" "log stat" "log export -f ascii" "log verify -v" "log --help"; do
	# shellcheck disable=SC2086
	expect 2 to_full $command "$list"
	has "cannot write"
done

# What cannot be judged.
expect 2 "$ASSAY" log verify "$SCRATCH/absent"
has "log verify: cannot open '$SCRATCH/absent'" # named once
expect 2 "$ASSAY" log verify "$SOURCE/meson.build"
has "not a measurement list"
expect 2 "$ASSAY" log verify
expect 2 "$ASSAY" log verify --pcr sha256:10 "$list"
expect 2 "$ASSAY" log verify --pcr md9:10:00 "$list"
expect 2 "$ASSAY" log verify --pcr "sha256:64:$value" "$list"
expect 2 "$ASSAY" log verify --pcr sha256:10:00 "$list"
expect 2 "$ASSAY" log verify --jobs 0 "$list"
expect 2 "$ASSAY" log verify --tcti x "$list"
expect 2 "$ASSAY" log verify --frob "$list"
echo "sha256 10" >"$SCRATCH/pcrs"
expect 2 "$ASSAY" log verify --pcrs "$SCRATCH/pcrs" "$list"
has "pcrs:1:1:"
: >"$SCRATCH/empty"
expect 2 "$ASSAY" log verify --pcrs "$SCRATCH/empty" "$list"
# A copy that failed is no list: no kernel makes one without an entry.
expect 1 "$ASSAY" log verify "$SCRATCH/empty"
has "does not hold: the list is empty"
expect 1 "$ASSAY" log verify -P "$run/pcrs.txt" "$SCRATCH/empty"
has "does not hold: the list is empty"
expect 2 "$ASSAY" log export -f binary --out "$SCRATCH/of-empty" "$SCRATCH/empty"
has "the list is empty"
[ ! -e "$SCRATCH/of-empty" ] || fail "an empty list was exported"
expect 2 "$ASSAY" log verify --jobs 99999 "$list"
has "(1 to 1024)"
expect 2 "$ASSAY" log verify --first x "$list"
has "(1, 2 and so on)"
expect 2 "$ASSAY" log export -f binary "$SCRATCH"
has "a folder: its segments are exported one by one"
for format in cel-json cel-tlv; do
	"$ASSAY" log export -f $format "$list" >"$SCRATCH/cel"
	expect 2 "$ASSAY" log verify "$SCRATCH/cel"
	has "it looks like CEL, which is only written"
done

# A file of zeros is refused at its front, whatever its size: not with as much memory, nor for as long as it takes to read it.
truncate -s 16G "$SCRATCH/zeros"
for command in show stat verify "export -f binary"; do
	# shellcheck disable=SC2086
	expect 2 timeout 60 "$ASSAY" log $command "$SCRATCH/zeros"
	has "not a measurement list: template name of 0 bytes"
done
rm "$SCRATCH/zeros"

# The kernel's own text, but for bytes that could forge a line or play with a terminal.
expect 0 "$ASSAY" log show "$V/6.1.0/sha1-ima-ng/binary_runtime_measurements"
"$ASSAY" log show "$list" >"$SCRATCH/shown"
[ "$(wc -l <"$SCRATCH/shown")" = 495 ] || fail "not one line an entry"
grep -qF '/m/data/names/new\x0aline' "$SCRATCH/shown" || fail "a newline is not escaped"
grep -qF '/m/data/names/back\\slash' "$SCRATCH/shown" || fail "a backslash is not escaped"
LC_ALL=C grep -q '[[:cntrl:]]' "$SCRATCH/shown" && fail "control characters"
diff <(grep -v /names/ "$SCRATCH/shown") <(grep -v -e /names/ -e '^line ' "$run/ascii_runtime_measurements") ||
	fail "not the kernel's text"
"$ASSAY" log show "$run/ascii_runtime_measurements" | cmp - "$SCRATCH/shown" || fail "ascii differs"
cp "$list" "$SCRATCH/-dash"
(cd "$SCRATCH" && "$ASSAY" log show -- -dash) | cmp - "$SCRATCH/shown" || fail "--"

# What assayd says of itself, as text; what it cannot have written is said to be that, and steers no terminal.
python3 - "$SCRATCH/states" <<'PY'
import hashlib, struct, sys
f = lambda d: struct.pack('<I', len(d)) + d
out = b''
for name, buf in ((b'x', b'v=1;event=start;'), (b'assay-state', b'v=1;event=start;version=a\\x3bb"c;'),
                  (b'assay-state', b'v=1;event=st\x1b[2J\xff\n;'), (b'assay-state', b''),
                  (b'assay-state', b'v=1;event=stop;why=signal;')):
    data = f(b'sha256:\0' + hashlib.sha256(buf).digest()) + f(name + b'\0') + f(buf)
    out += struct.pack('<I', 10) + hashlib.sha1(data).digest() + f(b'ima-buf') + f(data)
open(sys.argv[1], 'wb').write(out)
PY
expect 0 "$ASSAY" log show --states "$SCRATCH/states"
diff - "$SCRATCH/stdout" <<'EOF' || fail "show --states"
1 v=1;event=start;version=a\x3bb"c;
2 not of assayd's form: v=1;event=st\x1b[2J\xff\x0a;
3 not of assayd's form: 
4 v=1;event=stop;why=signal;
EOF
for option in '' --states; do
	"$ASSAY" log show --json ${option:+"$option"} "$SCRATCH/states" | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert [r["index"] for r in rows] == [i for i in range(5) if i or not sys.argv[1:]], rows
rows = {r["index"]: r for r in rows}
assert "state" not in rows.get(0, {})
assert rows[1]["state"] == {"v": "1", "event": "start", "version": "a\\x3bb\"c"}, rows[1]
assert rows[2]["state"] is None and rows[3]["state"] is None
assert rows[4]["state"]["why"] == "signal"
' ${option:+"$option"} || fail "show --json $option"
done
expect 0 "$ASSAY" log show --states "$list"
[ -z "$OUT" ] || fail "state records of a kernel: $OUT"

# What a list says of itself in an error steers no terminal, and is JSON.
python3 - "$list" >"$SCRATCH/hostile" <<'PY'
import struct, sys
name = b'\x1b[2J\xff'
sys.stdout.buffer.write(open(sys.argv[1], 'rb').read() +
                        struct.pack('<I20sI', 10, bytes(20), len(name)) + name + struct.pack('<I', 0))
PY
for command in "log show" "log stat" "log verify"; do
	# shellcheck disable=SC2086
	expect 2 "$ASSAY" $command "$SCRATCH/hostile"
	LC_ALL=C grep -q $'[\x1b\xff]' "$SCRATCH/stdout" "$SCRATCH/stderr" && fail "'$command' steers the terminal"
	has "unknown template or field '\\x1b[2J\\xff'"
done
expect 2 "$ASSAY" log verify --json "$SCRATCH/hostile"
python3 -c 'import json, sys; assert json.load(sys.stdin)["error"]["entry"] == 495' <<<"$OUT" || fail "verify --json: $OUT"

# JSON is JSON, an object an entry.
"$ASSAY" log show --json "$list" | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert len(rows) == 495 and [r["index"] for r in rows] == list(range(495))
assert sum(r["violation"] for r in rows) == 6
assert all(r["role"] == "step" for r in rows)
assert {r["template"] for r in rows} >= {"ima", "ima-ng", "evm-sig", "ima-buf"}
assert rows[0]["fields"]["n-ng"] == "boot_aggregate"
assert [r for r in rows if r["template"] == "evm-sig"][0]["fields"]["imode"] > 0
' || fail "show --json"
for f in "$list" "$SCRATCH/bent" "$SCRATCH/short"; do
	verdict=does-not-hold status=1
	[ "$f" != "$list" ] || verdict=holds status=0
	expect $status "$ASSAY" log verify -v --json -P "$run/pcrs.txt" "$f"
	python3 -c 'import json, sys; assert json.load(sys.stdin)["verdict"] == sys.argv[1]' $verdict <<<"$OUT" ||
		fail "verify --json of $f: $OUT"
done
"$ASSAY" log stat --json "$list" | python3 -c '
import json, sys
s = json.load(sys.stdin)
assert s["entries"] == 495 and s["pcrs"] == {"10": 489, "11": 6} and s["templates"]["ima-buf"] == 19
' || fail "stat --json"
"$ASSAY" log export -f cel-json -b sha256 "$list" | python3 -c '
import hashlib, json, sys
records = json.load(sys.stdin)
pcr = {10: bytes(32), 11: bytes(32)}
for i, r in enumerate(records):
    assert r["recnum"] == i and r["content_type"] == "ima_template"
    d = bytes.fromhex(r["digests"][0]["digest"])
    pcr[r["pcr"]] = hashlib.sha256(pcr[r["pcr"]] + d).digest()
assert pcr[10].hex() == sys.argv[1].lower()
' "$value" || fail "the CEL log does not replay to PCR 10"
"$ASSAY" log export -f cel-tlv -b sha256 "$list" | python3 -c '
import hashlib, struct, sys
def tlvs(b):
    while b:
        t, n = struct.unpack(">BI", b[:5])
        assert len(b) >= 5 + n
        yield t, b[5:5 + n]
        b = b[5 + n:]
pcr, n = {10: bytes(32), 11: bytes(32)}, 0
fields = list(tlvs(sys.stdin.buffer.read()))
for i in range(0, len(fields), 4):
    (t0, recnum), (t1, index), (t2, digests), (t3, content) = fields[i:i + 4]
    assert (t0, t1, t2, t3) == (0, 1, 3, 7) and int.from_bytes(recnum, "big") == i // 4
    (alg, d), = tlvs(digests)
    assert alg == 11
    (t4, name), (t5, data) = tlvs(content)
    assert (t4, t5) == (0, 1)
    if any(x != 0xff for x in d) and name != b"ima":
        assert hashlib.sha256(data).digest() == d
    p = int.from_bytes(index, "big")
    pcr[p] = hashlib.sha256(pcr[p] + d).digest()
assert len(fields) == 4 * 495 and pcr[10].hex() == sys.argv[1].lower()
' "$value" || fail "the CEL-TLV log does not replay to PCR 10"
expect 0 "$ASSAY" log stat "$list"
has "entries          495"

# Other formats: what was read comes back.
"$ASSAY" log export -f binary "$run/ascii_runtime_measurements" | cmp - "$list" || fail "binary"
"$ASSAY" log export -f ascii "$list" | cmp - "$run/ascii_runtime_measurements" || fail "ascii"
"$ASSAY" log export -f anchored "$list" | cmp - "$list" || fail "anchored"
expect 2 "$ASSAY" log export "$list"

# Into a file, which is there when it is whole, and only then.
cd "$SCRATCH"
out=$'exported "\xff'
expect 0 "$ASSAY" log export -f ascii --out "$out" --json "$list"
cmp "$out" "$run/ascii_runtime_measurements" || fail "ascii, into a file"
python3 - "$run/ascii_runtime_measurements" "$OUT" <<'EOF' || fail "export --json: $OUT"
import json, re, sys
text = open(sys.argv[1], 'rb').read()
n = len(re.findall(rb'^ *[0-9]+ [0-9a-f]{40} ', text, re.M)) # there are names of two lines
assert json.loads(sys.argv[2]) == {'file': 'exported "\\xff', 'format': 'ascii', 'entries': n, 'exported': n,
                                   'left_out': 0, 'bytes': len(text)}, n
EOF
expect 0 "$ASSAY" log export -f binary --out again "$list"
[ -z "$OUT" ] || fail "it prints the list too"
cmp again "$list" || fail "binary, into a file"
expect 2 "$ASSAY" log export -f ascii --out again --json "$SCRATCH/bent"
cmp again "$list" || fail "what was there is gone, and there is nothing for it"
[ ! -e again.new ] || fail "a part of a list is left"
expect 2 "$ASSAY" log export -f ascii --out nowhere/again "$list"
expect_text "$ERR" "cannot create 'nowhere/again.new'"
ln -s elsewhere link.new
expect 2 "$ASSAY" log export -f ascii --out link "$list"
[ ! -e elsewhere ] || fail "it follows a link"
expect 2 "$ASSAY" log export -f frob "$list"
expect 2 "$ASSAY" log export -f cel-tlv -b sha256 -b sha256 "$list"
expect 2 "$ASSAY" log export -f binary "$SCRATCH/bent"
