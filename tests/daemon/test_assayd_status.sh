#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What an operator sees: status for root and for everybody, as page, JSON and OpenMetrics; a reload that
# works and one that is refused. And who listens: a process that is replaced when it dies, and that answers
# root however many others there are.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm
need pgrep
chmod 711 "$SCRATCH"

# as_nobody PYTHON [ARG]...: the program, as somebody without rights.
as_nobody() {
	local code=$1
	shift
	timeout -s KILL 200 python3 -c "import os, socket, sys
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
$code" "$@"
}

ASK='s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.settimeout(60)
s.send(sys.argv[2].encode())
print(s.recv(65536).decode())'

# ---- what everybody sees ---------------------------------------------------------------------------
echo 'measure func=FILE_CHECK' >"$SCRATCH/my-policy"
start_assayd "policy=$SCRATCH/my-policy" deadline_answer=deny
echo one >"$MNT/one"
cat "$MNT/one" >/dev/null
"$ASSAY" status --control "$CONTROL" --json >"$SCRATCH/full" || fail "status exits $?"
as_nobody "$ASK" "$PUBLIC" '{"op": "status"}' >"$SCRATCH/public"
python3 - "$SCRATCH/full" "$SCRATCH/public" <<'EOF_PY' || fail 'the public socket shows what it should not'
import json, re, sys
full, text = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
public = json.loads(text)
def texts(v):
    if isinstance(v, str): yield v
    elif isinstance(v, (list, dict)):
        for x in (v.values() if isinstance(v, dict) else v): yield from texts(x)
words = {t['what'] for key in ('not_protected',) for t in full[key]} | {t['what'] for t in full['health']['troubles']}
def keys(v):
    for k, x in v.items() if isinstance(v, dict) else ():
        yield k
        yield from keys(x)
secret = set(texts(full)) - words - set(keys(public))
assert len(secret) > 15, secret
for s in secret | {str(p['pid']) for p in full['processes']}:
    assert '"%s"' % s not in text and (len(s) < 8 or s not in text), s
assert '/' not in text and not re.search('[0-9a-f]{16}', text)
assert set(texts(public)) <= words, set(texts(public)) - words
assert public['list']['records'] == full['list']['records'] and public['health']['ok'] is True
assert 'measure_only' in public['not_protected'] and 'chosen_mounts' in public['not_protected']
EOF_PY
python3 - "$SCRATCH/full" "$SOURCE/docs/formats/status.md" <<'EOF_PY' || fail 'a key is not on the page of the status document'
import json, sys
full, page = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
def keys(v):
    for k, x in v.items() if isinstance(v, dict) else ():
        yield k
        yield from keys(x)
    for x in v if isinstance(v, list) else ():
        yield from keys(x)
missing = {k for k in keys(full) if not k[0].isdigit() and '`%s`' % k not in page and '"%s"' % k not in page}
assert len(set(keys(full))) > 70 and not missing, missing
EOF_PY
for op in '{"op":"pcrs"}' '{"op":"audit"}' '{"op":"reload"}' '{"op":"quote","nonce":"","ak_public":"","ak_private":""}'; do
	as_nobody "$ASK" "$PUBLIC" "$op" >"$SCRATCH/answer"
	grep -q '"code":1}' "$SCRATCH/answer" || fail "everybody may ask for $op: $(cat "$SCRATCH/answer")"
done
! as_nobody "$ASK" "$CONTROL" '{"op":"status"}' 2>/dev/null || fail 'everybody may ask for everything'

# ---- forms ---------------------------------------------------------------------------------------------
expect 0 "$ASSAY" status --control "$CONTROL"
expect_text "$OUT" '^assayd [0-9.]+: it is well'
expect_text "$OUT" '^- measure_only '
expect_text "$OUT" '^waits        [0-9]+ openers, [0-9.]+ ms each; half within '
expect_text "$OUT" "^policy       $SCRATCH/my-policy, "
expect_text "$OUT" '^processes    main [0-9]+, spawner [0-9]+, anchor [0-9]+'
[ "$(wc -l <<<"$OUT")" -le 24 ] || fail 'the page does not fit a terminal'
for who in "--control $CONTROL" "--public --control $PUBLIC"; do
	# shellcheck disable=SC2086
	"$ASSAY" status $who --openmetrics >"$SCRATCH/metrics" || fail "--openmetrics exits $?"
	n=$("$SOURCE/tests/daemon/openmetrics.py" <"$SCRATCH/metrics") || fail 'it is not OpenMetrics'
	[ "$n" -gt 30 ] || fail "only $n metrics"
	! command -v promtool >/dev/null || promtool check metrics <"$SCRATCH/metrics" >/dev/null || [ $? = 3 ] ||
		fail 'promtool does not take it'
done
expect 2 "$ASSAY" status --control "$SCRATCH/nobody-there"

# ---- reload ------------------------------------------------------------------------------------------
# set_conf KEY VALUE: in the file.
set_conf() {
	sed -i "/^$1 = /d" "$CONF"
	echo "$1 = $2" >>"$CONF"
}
expect 0 "$ASSAY" reload --control "$CONTROL"
expect_text "$OUT" "^policy '$SCRATCH/my-policy' is in force, sha256 [0-9a-f]{64}\$"
# A broken policy, then a broken configuration: nothing changes, and status says so.
before=$(status policy.sha256)
echo 'measure fun=X' >"$SCRATCH/my-policy"
expect 1 "$ASSAY" reload --control "$CONTROL"
expect_text "$OUT" "^refused \\(policy_refused\\): .*$SCRATCH/my-policy:1:[0-9]+"
expect 1 "$ASSAY" status --control "$CONTROL"
expect_text "$OUT" '^! policy_refused +.*my-policy:1'
[ "$(status policy.sha256)" = "$before" ] || fail 'a refused policy is in force'
echo 'measure func=BPRM_CHECK' >"$SCRATCH/my-policy"
echo 'colour = blue' >>"$CONF"
line=$(wc -l <"$CONF")
expect 1 "$ASSAY" reload --control "$CONTROL"
expect_text "$OUT" "^refused \\(conf_refused\\): $CONF:$line:1: unknown key 'colour'"
expect 1 "$ASSAY" status --control "$CONTROL"
expect_text "$OUT" "^! conf_refused +$CONF:$line:1"
[ "$(status policy.sha256)" = "$before" ] || fail 'with a broken configuration the policy is another'
wait_for 60 records_are "event=conf_refused;name=$CONF;line=$line;" = 1 'conf_refused is not in the list'
wait_for 60 records_are event=policy_refused = 1 'policy_refused is not in the list'
# Mended: in force, with what counts at once; the rest is named.
sed -i '/colour/d' "$CONF"
set_conf audit_rate 7
set_conf pcr 11
expect 0 "$ASSAY" reload --control "$CONTROL"
expect_text "$OUT" "^'audit_rate' is as the configuration says now"
expect_text "$OUT" "^'pcr' needs a restart"
[ "$(status policy.sha256)" != "$before" ] || fail 'the new policy is not in force'
expect 0 "$ASSAY" status --control "$CONTROL"
expect_text "$OUT" '^restart .* pcr$'
set_conf pcr 10
kill -HUP "$DAEMON"
wait_for 10 status_is reload.needs_restart '[]'

# ---- who listens dies ---------------------------------------------------------------------------------
another_control() {
	local pid
	pid=$(child_pid control) && [ "$pid" != "$old" ] && "$ASSAY" status --control "$CONTROL" >/dev/null
}
for signal in KILL SEGV; do
	old=$(child_pid control)
	kill -"$signal" "$old"
	wait_for 20 another_control
done
status processes >"$SCRATCH/processes"
grep -q '"role": "control", "pid": [0-9]*, "state": "runs", "restarts": 2' "$SCRATCH/processes" ||
	fail "status does not count the ends: $(cat "$SCRATCH/processes")"
expect 0 "$ASSAY" reload --control "$CONTROL"
"$ASSAY" status --control "$CONTROL" --pcrs >/dev/null || fail 'the new one has no line to the anchor'
pid=$(child_pid control)
[ "$(awk '$1 ~ /^(Uid|CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):$/ { printf "%s ", $2 }' "/proc/$pid/status")" = \
	'65532 0000000000000000 0000000000000000 0000000000000000 1 2 ' ] || fail 'the process control is not bounded'
! find "/proc/$pid/fd" -lname '*fanotify*' -o -lname "$LIST*" | grep -q . || fail 'it has what it should not'
[ "$(find "/proc/$pid/fd" -lname 'socket:*' | wc -l)" -le 5 ] || fail 'it has more sockets than it needs'

# ---- a flood ---------------------------------------------------------------------------------------------
# A thousand connections, garbage, half requests, nobody who reads, again and again; root is answered.
background python3 -c "import os, random, resource, socket, sys
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
said = False
while True:
    held = []
    for i in range(1000):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.setblocking(False)
        try:
            s.connect(sys.argv[1])
            s.send(random.choice([b'{', b'{\"op\": \"status\"}', b'\\0' * 9000, b'[' * 8000, os.urandom(50)]))
        except OSError: pass
        held.append(s)
    if not said: print('flood', flush=True)
    said = True
" "$PUBLIC" >"$SCRATCH/flood"
flood=$PID
wait_for 20 grep -q flood "$SCRATCH/flood"
for _ in 1 2 3 4 5 6 7 8 9 10; do
	timeout $PATIENCE "$ASSAY" status --control "$CONTROL" >/dev/null || fail "root is not answered in a flood: $?"
done
timeout $PATIENCE cat "$MNT/one" >/dev/null || fail 'an open hangs in a flood'
kill -KILL "$flood"
wait "$flood" 2>/dev/null || true
as_nobody "$ASK" "$PUBLIC" '{"op": "status"}' | grep -q '"health"' || fail 'after the flood nobody is answered'
stop_assayd
[ ! -e "$PUBLIC" ] || fail 'the public socket is left behind'

# ---- a slow quote ------------------------------------------------------------------------------------
# With a TPM that does not answer, PCRs are waited for, and status is not.
start_assayd tpm_timeout_ms=100000
kill -STOP "$SWTPM_PID"
background "$ASSAY" status --control "$CONTROL" --pcrs >"$SCRATCH/pcrs" 2>&1
slow=$PID
timeout $PATIENCE "$ASSAY" status --control "$CONTROL" >"$SCRATCH/page" || [ $? = 1 ] || fail 'status waits for the TPM'
kill -0 "$slow" || fail 'nothing was slow'
kill -CONT "$SWTPM_PID"
wait "$slow" || fail "the slow question is not answered: $(cat "$SCRATCH/pcrs")"
grep -q '^sha256 10 ' "$SCRATCH/pcrs" || fail 'no PCR'
stop_assayd

# An anchor that hangs is something to look at, and status says it; the deadline that counts is that of now.
start_assayd deadline_ms=100000
set_conf deadline_ms 500
expect 0 "$ASSAY" reload --control "$CONTROL"
expect_text "$OUT" "^'deadline_ms' is as"
anchor=$(child_pid anchor)
halt "$anchor"
expect 1 timeout $PATIENCE "$ASSAY" status --control "$CONTROL"
expect_text "$OUT" '^! anchor_gone '
expect_text "$OUT" "anchor $anchor \\(stopped\\)"
cp /bin/true "$MNT/waits"
timeout $PATIENCE "$MNT/waits" || fail "the deadline is that of before: $?"
kill -CONT "$anchor"
anchor_answers() { ! "$ASSAY" status --control "$CONTROL" | grep -q '^! anchor_gone'; }
wait_for 10 anchor_answers
expect 1 "$ASSAY" status --control "$CONTROL"
expect_text "$OUT" '^! unmeasured '
stop_assayd

# Without a public socket.
start_assayd public_socket=none
[ ! -e "$PUBLIC" ] || fail 'there is a public socket'
stop_assayd
