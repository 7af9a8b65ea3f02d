#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Rules that audit: one record a file and change, whoever opens it and however often; the same in the
# journal, and for those who ask; odd names; storms beyond the rate; a journal and a follower that take
# nothing. What is not told is counted, and nobody waits for it.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount
need journalctl

JOURNAL=$SCRATCH/journal
cat >"$SCRATCH/journal.py" <<'EOF_PY'
# The other end of the journal: argv: socket, file for what comes (JSON lines), or "-" to take nothing.
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
try: os.unlink(sys.argv[1])
except FileNotFoundError: pass
s.bind(sys.argv[1])
print('bound', flush=True)
if sys.argv[2] == '-':
    import time
    time.sleep(100)
out = open(sys.argv[2], 'w')
while True:
    d, fields = s.recv(1 << 20), {}
    while d:
        key, _, rest = d.partition(b'\n')
        if b'=' in key:
            key, _, value = key.partition(b'=')
            d = rest
        else:
            n = int.from_bytes(rest[:8], 'little')
            value, d = rest[8:8 + n], rest[9 + n:]
        fields[key.decode()] = value.decode('latin-1')
    print(json.dumps(fields), file=out, flush=True)
EOF_PY

# journal FILE: it takes records from here on.
journal() {
	rm -f "$SCRATCH/bound"
	background python3 "$SCRATCH/journal.py" "$JOURNAL" "$1" >"$SCRATCH/bound"
	JOURNAL_PID=$PID
	wait_for 10 grep -q bound "$SCRATCH/bound"
}

end_journal() {
	kill -KILL "$JOURNAL_PID"
	wait "$JOURNAL_PID" || true
}

# records EXPRESSION: how many of the records that assayd keeps it (of Python, on r) holds for.
records() {
	"$ASSAY" audit --control "$CONTROL" --json >"$SCRATCH/audit"
	python3 - "$SCRATCH/audit" "$1" <<-'EOF_PY'
		import json, sys
		r = None
		print(sum(bool(eval("(" + sys.argv[2] + ")")) for r in map(json.loads, open(sys.argv[1]))))
	EOF_PY
}

# need_records COUNT EXPRESSION
need_records() {
	local n
	n=$(records "$2")
	[ "$n" = "$1" ] || fail "$n records, not $1, have $2: $(tail -n 5 "$SCRATCH/audit" | cut -c 1-2000)"
}

as_nobody() {
	python3 - "$@" <<-'EOF_PY'
		import os, sys
		os.setgroups([]); os.setgid(65534); os.setuid(65534)
		os.execv(sys.argv[1], sys.argv[1:])
	EOF_PY
}

# What runs before assayd does is recorded as well, and does not count here.
rule='r["type"] == "INTEGRITY_RULE" and "cause" not in r'
chmod 755 "$SCRATCH" "$MNT"

# ---- one record a file and change ----------------------------------------------------------------------------
echo 'audit func=BPRM_CHECK' >"$SCRATCH/policy"
journal "$SCRATCH/entries.journal"
start_assayd "policy=$SCRATCH/policy" "audit_journal=$JOURNAL"
need_records 1 'r.get("op") == "policy_update" and r["cause"] == "completed" and r["res"] == 1'
cp /bin/true "$MNT/true"
"$MNT/true"
as_nobody "$MNT/true"
need_records 1 "$rule"
digest=$(sha256sum "$MNT/true")
inode=$(stat -c %i "$MNT/true")
need_records 1 "$rule"' and r["file"] == "'"$MNT/true"'" and r["hash"] == "sha256:'"${digest%% *}"'" and
	r["ino"] == '"$inode"' and r["func"] == "BPRM_CHECK" and r["rule"] == 1 and r["policy"] == "'"$SCRATCH/policy"'" and
	r["uid"] == r["euid"] == r["fsuid"] == r["gid"] == 0 and r["ppid"] == '$$' and r["comm"].startswith("test_assayd_a") and
	r["exe"].endswith("/bash") and r["mntns"] == '"$(stat -L -c %i /proc/self/ns/mnt)"' and
	r["pidns"] == '"$(stat -L -c %i /proc/self/ns/pid)"' and r["auid"] == '"$(cat /proc/self/loginuid)"' and
	r["ses"] == '"$(cat /proc/self/sessionid)"' and "cgroup" in r and "tty" in r'
for ((i = 0; i < 300; i++)); do "$MNT/true"; done
cat "$MNT/true" >/dev/null
need_records 1 "$rule"
echo >>"$MNT/true"
as_nobody "$MNT/true"
"$MNT/true"
need_records 2 "$rule"
need_records 1 "$rule"' and r["uid"] == 65534 and r["gid"] == 65534 and r["comm"] == "python3"'
[ "$(status list.records)" -gt 0 ] || fail 'no list'
! entries | grep -q "$MNT" || fail 'a rule that audits has measured'

# A descriptor that can write keeps marks away: then the table alone stands between.
cp /bin/true "$MNT/written"
python3 - "$MNT/written" <<-'EOF_PY'
	import os, subprocess, sys
	os.open(sys.argv[1] + '-2', os.O_RDWR | os.O_CREAT)
	for i in range(1000): subprocess.run([sys.argv[1]])
EOF_PY
need_records 1 "$rule"' and r["file"].endswith("/written")'

# ---- odd names -----------------------------------------------------------------------------------------------------
python3 - "$MNT" <<-'EOF_PY'
	import os, shutil, subprocess, sys
	top = sys.argv[1].encode()
	names = [b'line\nfeed', b'quote"', b"apostrophe'", b'\xff\xfe', b'back\\slash', b'{"json": 1}', b'blank name', b'\x01' * 255, b'\xc3\xa4']
	for n in names:
	    shutil.copy('/bin/true', os.path.join(top, n))
	    subprocess.run([os.path.join(top, n)], check=True)
	deep = top
	fd = os.open(top, os.O_RDONLY)
	while len(deep) < 3900:
	    os.mkdir(b'\x02' * 100, dir_fd=fd)
	    fd = os.open(b'\x02' * 100, os.O_RDONLY, dir_fd=fd)
	    deep += b'/' + b'\x02' * 100
	with open('/bin/true', 'rb') as f, os.fdopen(os.open(b'deep', os.O_WRONLY | os.O_CREAT, 0o755, dir_fd=fd), 'wb') as to:
	    to.write(f.read())
	os.chdir(fd)
	subprocess.run([b'./deep'], check=True)
EOF_PY
"$ASSAY" audit --control "$CONTROL" --json --path "$MNT" >"$SCRATCH/audit"
python3 - "$SCRATCH/audit" "$MNT" <<'EOF_PY' || fail 'odd names'
import json, re, sys
got = {re.sub(r'\\x(..)', lambda m: chr(int(m[1], 16)), json.loads(l).get('file', '')).encode('latin-1') for l in open(sys.argv[1])}
top = sys.argv[2].encode() + b'/'
names = [b'line\nfeed', b'quote"', b"apostrophe'", b'\xff\xfe', b'back\\slash', b'{"json": 1}', b'blank name', b'\x01' * 255, b'\xc3\xa4']
assert all(top + n in got for n in names), got
assert any(n.endswith(b'\x02/deep') and len(n) > 3900 for n in got)
EOF_PY

# The journal has what the others have.
same_in_journal() {
	[ "$(grep -c '"ASSAY_TYPE": "INTEGRITY_RULE"' "$SCRATCH/entries.journal")" = "$(records 'r["type"] == "INTEGRITY_RULE"')" ]
}
wait_for 10 same_in_journal
python3 - "$SCRATCH/entries.journal" "$MNT" <<'EOF_PY' || fail 'the journal'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
rule = [r for r in rows if r['ASSAY_TYPE'] == 'INTEGRITY_RULE']
assert any(r['ASSAY_FILE'] == sys.argv[2] + '/line\nfeed' for r in rule)
assert any(r['ASSAY_FILE'].encode('latin-1').endswith(b'/\xff\xfe') for r in rule)
assert all(r['MESSAGE'].startswith('INTEGRITY_RULE file=') and r['PRIORITY'] == '6' and r['MESSAGE_ID'] for r in rule)
EOF_PY
stop_assayd
end_journal
