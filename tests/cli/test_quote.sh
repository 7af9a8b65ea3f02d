#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assay quote and assay tpm over swtpm: tpm2-tools accept what we make, we accept what they make, and
# what was changed is found and named.
. "$TEST_LIB"
. "$(dirname "$TEST_LIB")/lib/swtpm.sh"
cd "$SCRATCH"
NONCE=00112233445566778899aabbccddeeff
VECTORS=$SOURCE/tests/vectors

# ---- without a TPM: quotes of tpm2-tools over real lists ----
tools_quote() { # RUN NAME AK [ARG]...
	local dir=$VECTORS/quotes/$1 name=$2 ak=$3
	shift 3
	"$ASSAY" quote verify --ak "$ak" --nonce 0123456789abcdef --message "$dir/$name.msg" \
		--signature "$dir/$name.sig" --pcrs-file "$dir/$name.pcrs" "$@"
}
for dir in "$VECTORS"/quotes/*/; do
	run=$(basename "$dir")
	kernel=${run%%-*}
	list=$VECTORS/kernel/$kernel/${run#"$kernel-"}/binary_runtime_measurements
	for name in quote quote256 quote512; do
		expect 0 tools_quote "$run" $name "$dir/ak.tpmt"
		expect_text "$OUT" "^the quote holds"
		expect 0 tools_quote "$run" $name "$dir/ak.pub" --ignore-violations --log "$list"
		expect_text "$OUT" "attributes are not told"
		expect_text "$OUT" "^PCR 10: reached after entry"
	done
done
run=6.1.0-sha1-ima-ng
dir=$VECTORS/quotes/$run
dd if="$dir/ak.tpmt" of=tpmt bs=1 skip=2 status=none # TPMT_PUBLIC
expect 0 tools_quote $run quote tpmt
openssl pkey -pubin -in "$dir/ak.pub" -outform DER -out ak.der
expect 0 tools_quote $run quote ak.der
expect 1 tools_quote $run quote "$VECTORS/quotes/6.1.0-sha1-ima/ak.pub"
expect_text "$OUT" "signature +BAD: "
expect 2 tools_quote $run quote /dev/null
expect 2 "$ASSAY" quote verify --ak "$dir/ak.pub" --nonce 00 nosuchfile
expect 2 "$ASSAY" quote verify --ak "$dir/ak.pub" --nonce xyz file
expect 2 "$ASSAY" quote verify --nonce 00 file

# What is demanded must have been quoted; and the whole list, if that is asked for.
dir=$VECTORS/quotes/6.12.95-rich-sha256-ima-sig
full=$VECTORS/kernel/6.12.95/rich-sha256-ima-sig/binary_runtime_measurements
run2=6.12.95-rich-sha256-ima-sig
expect 0 tools_quote $run2 quote "$dir/ak.tpmt" --pcr-list sha1:10+sha256:10,11
expect_text "$OUT" "^demanded +good"
expect_text "$OUT" "^clock +[0-9]+ ms, safe: (yes|no); .*blinded by the TPM"
expect 0 tools_quote $run2 quote "$dir/ak.tpmt"
expect_text "$OUT" "^demanded +nothing \(see --pcr-list\)"
expect 1 tools_quote $run2 quote "$dir/ak.tpmt" --pcrs sha256:10,12
for list in sha256:10,12 sha512:10 sha1:10+sha384:10 sha256:0; do
	expect 1 tools_quote $run2 quote "$dir/ak.tpmt" --pcr-list $list
	expect_text "$OUT" "^demanded +BAD: PCR [0-9]+ of bank sha[0-9]+ is not quoted"
done
expect 0 tools_quote $run2 quote "$dir/ak.tpmt" --pcr-list sha256:11 --log "$full" -v --complete
# A list without the entries of a PCR that was demanded.
"$ASSAY" log show --json "$full" >entries
python3 - "$full" <<'PY'
import json, sys
b = open(sys.argv[1], 'rb').read()
entries = [json.loads(line) for line in open('entries')]
ends = [e['offset'] for e in entries[1:]] + [len(b)]
with open('without-10', 'wb') as f:
    f.writelines(b[e['offset']:end] for e, end in zip(entries, ends) if e['pcr'] != 10)
PY
expect 0 tools_quote $run2 quote "$dir/ak.tpmt" --pcr-list sha256:11 --log without-10 -v
expect 1 tools_quote $run2 quote "$dir/ak.tpmt" --pcr-list sha256:10 --log without-10 -v
expect_text "$OUT" "a PCR value is not reached"
"$ASSAY" log export -f binary "$full" >longer
"$ASSAY" log show --json "$full" | sed -n '2s/.*"offset":\([0-9]*\),.*/\1/p' >offset
head -c "$(cat offset)" "$full" >>longer
expect 0 tools_quote $run2 quote "$dir/ak.tpmt" --log longer -v
expect 1 tools_quote $run2 quote "$dir/ak.tpmt" --log longer -v --complete
expect_text "$OUT" "not every entry is proved"
expect 2 tools_quote $run2 quote "$dir/ak.tpmt" --complete
expect 2 tools_quote $run2 quote "$dir/ak.tpmt" --pcr-list frob
expect_text "$ERR" "^assay quote verify: --pcr-list: "
dir=$VECTORS/quotes/$run

# A tampered entry is named: index, template, path.
list=$VECTORS/kernel/6.1.0/sha1-ima-ng/binary_runtime_measurements
expect 0 "$ASSAY" log show "$list"
path=$(grep -a -o -m1 '/usr/bin/[a-z]*' <<<"$OUT" | head -1)
at=$(grep -a -o -b -m1 -F "$path" "$list" | head -1 | cut -d: -f1)
cp "$list" tampered
printf 'X' | dd of=tampered bs=1 seek=$((at + 9)) conv=notrunc status=none
expect 1 tools_quote $run quote "$dir/ak.tpmt" --ignore-violations --log tampered
expect_text "$OUT$ERR" "entry [0-9]+"
expect_text "$OUT$ERR" "${path:0:9}X"

# An assayd that is busy for ever: the time is limited, and the reason told.
cat >daemon.py <<'PY'
import json, signal, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(sys.argv[1])
s.listen(0)
open(sys.argv[1] + '.ready', 'w')
held = []
if sys.argv[2] == 'deaf':
    signal.pause()
while True:
    c, _ = s.accept()
    while sys.argv[2] == 'busy' and c.recv(65536):
        c.send(json.dumps({'error': 'the PCRs change too fast', 'code': 11}).encode())
    if sys.argv[2] == 'silent':
        c.recv(65536)
        held.append(c)
PY
: >no.pub
: >no.priv
for how in busy silent; do
	background python3 daemon.py "$SCRATCH/$how" $how
	wait_for 10 test -e "$SCRATCH/$how.ready"
	start=$SECONDS
	expect 2 "$ASSAY" quote --nonce $NONCE --out q --ak no --control "$SCRATCH/$how" --timeout 1
	expect_text "$ERR" "^assay quote: assayd gave no quote within 1 s \(--timeout\): "
	[ $how = silent ] || expect_text "$ERR" "the PCRs change too fast"
	[ $((SECONDS - start)) -le $PATIENCE ] || fail "it took $((SECONDS - start)) s"
done
background python3 daemon.py "$SCRATCH/deaf" deaf
wait_for 10 test -e "$SCRATCH/deaf.ready"
python3 - "$SCRATCH/deaf" <<'PY' &
import socket, sys, time
held = []
while True:
    c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    c.setblocking(False)
    try:
        c.connect(sys.argv[1])
    except BlockingIOError:
        break
    held.append(c)
open(sys.argv[1] + '.full', 'w')
time.sleep(20)
PY
_pids+=($!)
wait_for 10 test -e "$SCRATCH/deaf.full"
expect 2 "$ASSAY" quote --nonce $NONCE --out q --ak no --control "$SCRATCH/deaf" --timeout 1
expect_text "$ERR" "is busy with others"
expect 2 "$ASSAY" quote --nonce $NONCE --out q --ak no --timeout 0
expect_text "$ERR" "^assay quote: --timeout: '0' is no number of seconds"

# ---- with one ----
need swtpm tpm2_checkquote
swtpm_begin
expect 0 "$ASSAY" tpm info --tcti "$TCTI"
expect_text "$OUT" "banks +.*sha256"
expect 0 "$ASSAY" tpm info --tcti "$TCTI" --json
python3 -m json.tool <<<"$OUT" >/dev/null || fail "not JSON: $OUT"
expect 2 "$ASSAY" tpm info --tcti "swtpm:path=$SCRATCH/nobody"
expect_text "$ERR" "cannot reach a TPM at 'swtpm:path=.*nobody'"

for alg in ecc rsa; do
	expect 0 "$ASSAY" tpm create-ak --algorithm $alg --tcti "$TCTI" $alg
	sum=$(sha256sum $alg.pub $alg.priv)
	expect 2 "$ASSAY" tpm create-ak --algorithm $alg --tcti "$TCTI" $alg
	expect_text "$ERR" "'$alg.priv' is there already"
	[ "$sum" = "$(sha256sum $alg.pub $alg.priv)" ] || fail 'a key was written over'
	[ "$(stat -c %a $alg.priv)" = 600 ] || fail "the private part has mode $(stat -c %a $alg.priv)"
	openssl pkey -pubin -in $alg.pem -noout || fail "$alg.pem is not PEM"
	expect 0 "$ASSAY" quote --nonce $NONCE --out $alg.quote --ak $alg --tcti "$TCTI" \
		--message $alg.msg --signature $alg.sig --pcrs sha256:0,7,10+sha1:0,7,10
	[ -z "$OUT" ] || fail "it prints: $OUT"
	expect 0 "$ASSAY" tpm create-ak --algorithm $alg --tcti "$TCTI" --json $alg-json
	created=$OUT
	expect 0 "$ASSAY" quote --nonce $NONCE --out $alg-json.quote --ak $alg-json --tcti "$TCTI" --json
	quoted=$OUT
	expect 0 "$ASSAY" quote verify --ak $alg-json.pub --nonce $NONCE --json $alg-json.quote
	python3 - $alg "$created" "$quoted" "$OUT" <<'PY' || fail "--json: $created $quoted $OUT"
import hashlib, json, sys
alg, (created, quoted, judged) = sys.argv[1], map(json.loads, sys.argv[2:])
prefix = alg + '-json'
area = open(prefix + '.pub', 'rb').read()[2:]
name = '000b' + hashlib.sha256(area).hexdigest()
assert created == {'algorithm': {'ecc': 'ecc-p256', 'rsa': 'rsa-2048'}[alg], 'name': name,
                   'public': prefix + '.pub', 'private': prefix + '.priv', 'pem': prefix + '.pem'}
assert judged['holds'] and judged['hardware']
assert quoted['pcrs'] == judged['pcrs'] and quoted['clock'] == judged['clock']
assert {p['pcr'] for p in quoted['pcrs']} == {10} and {'sha1', 'sha256'} <= {p['bank'] for p in quoted['pcrs']}
assert quoted['file'] == prefix + '.quote' and quoted['asked'] == 'tpm' and quoted['hardware']
assert quoted['nonce'] == '00112233445566778899aabbccddeeff' and quoted['ak_name'] == name
assert quoted['signer'][:4] == '000b' and len(quoted['signer']) == 68 and 'message' not in quoted
PY
	for pub in $alg.pub $alg.pem; do
		expect 0 "$ASSAY" quote verify --ak $pub --nonce $NONCE $alg.quote
	done
	expect 1 "$ASSAY" quote verify --ak $alg.pub --nonce ${NONCE}00 $alg.quote
	expect_text "$OUT" "nonce +BAD"
	expect 0 "$ASSAY" quote verify --ak $alg.pub --nonce $NONCE --json $alg.quote
	python3 -m json.tool <<<"$OUT" >/dev/null || fail "not JSON: $OUT"
done
expect 1 "$ASSAY" quote verify --ak rsa.pub --nonce $NONCE ecc.quote

for alg in ecc rsa; do
	expect 0 tpm2_checkquote -u $alg.pem -m $alg.msg -s $alg.sig -q $NONCE -g sha256
done
# Theirs, with a key of theirs, ECC this time.
export TPM2TOOLS_TCTI=$TCTI
tpm2_createek -c ek.ctx -G rsa -u ek.pub >/dev/null
tpm2_createak -C ek.ctx -c theirs.ctx -G ecc -g sha256 -s ecdsa -u theirs.pub -f tpmt \
	-n theirs.name >/dev/null
tpm2_flushcontext -t
tpm2_pcrextend "10:sha256=$(printf 'ab%.0s' {1..32})"
tpm2_quote -c theirs.ctx -l sha256:10,11+sha1:10 -q $NONCE -m t.msg -s t.sig -o t.pcrs >/dev/null
expect 0 "$ASSAY" quote verify --ak theirs.pub --nonce $NONCE --message t.msg --signature t.sig \
	--pcrs-file t.pcrs
expect_text "$OUT" "key +good"
tpm2_flushcontext -t

# A restricted key signs what does not begin with a TPM's magic: such bytes are no quote of its.
{ printf ASOF && tail -c +5 t.msg; } >f.msg
tpm2_hash -C o -g sha256 -t f.ticket -o f.digest f.msg
tpm2_sign -c theirs.ctx -g sha256 -s ecdsa -t f.ticket -o f.sig f.msg
tpm2_flushcontext -t
expect 1 "$ASSAY" quote verify --ak theirs.pub --software --nonce $NONCE --message f.msg \
	--signature f.sig --pcrs-file t.pcrs
expect_text "$OUT" "signature +good"
expect_text "$OUT" "form +BAD: .*forged"

# A quote without its values says nothing of a list.
python3 - ecc.quote bare.quote <<'PY'
import struct, sys
q = open(sys.argv[1], 'rb').read()
at = 10
for _ in range(2):
    at += 2 + struct.unpack_from('>H', q, at)[0]
open(sys.argv[2], 'wb').write(q[:at] + bytes(2))
PY
expect 0 "$ASSAY" quote verify --ak ecc.pub --nonce $NONCE bare.quote
expect 1 "$ASSAY" quote verify --ak ecc.pub --nonce $NONCE --ignore-violations --log "$list" bare.quote

# An unrestricted key signs what it is given: a quote by it says nothing.
tpm2_createprimary -C o -G ecc -g sha256 -c p.ctx >/dev/null
tpm2_create -C p.ctx -G ecc:ecdsa-sha256 -u u.pub -r u.priv \
	-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign' >/dev/null
tpm2_flushcontext -t
tpm2_load -C p.ctx -u u.pub -r u.priv -c u.ctx >/dev/null
tpm2_quote -c u.ctx -l sha256:10 -q $NONCE -m u.msg -s u.sig -o u.pcrs >/dev/null
tpm2_flushcontext -t
expect 1 "$ASSAY" quote verify --ak u.pub --nonce $NONCE --message u.msg --signature u.sig \
	--pcrs-file u.pcrs
expect_text "$OUT" "restricted is off"

# The TPM goes: said, not hung.
swtpm_reset
expect 0 "$ASSAY" quote --nonce $NONCE --out again.quote --ak ecc --tcti "$TCTI"
expect 0 "$ASSAY" quote verify --ak ecc.pub --nonce $NONCE again.quote
kill -KILL "$SWTPM_PID"
expect 2 "$ASSAY" quote --nonce $NONCE --out gone.quote --ak ecc --tcti "$TCTI"
[ ! -e gone.quote ] || fail "a file was left"
