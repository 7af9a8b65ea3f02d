#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Rules that audit: one record a file and change, whoever opens it and however often; the same in the
# journal, and for those who ask; odd names; storms beyond the rate; a journal and a follower that take
# nothing. What is not told is counted, and nobody waits for it.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount

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
events=$(status events.read)
for ((i = 0; i < 300; i++)); do "$MNT/true"; done
cat "$MNT/true" >/dev/null
need_records 1 "$rule"
[ $(($(status events.read) - events)) -lt 100 ] || fail 'a file that has its record is asked for again'
echo >>"$MNT/true"
as_nobody "$MNT/true"
"$MNT/true"
need_records 2 "$rule"
need_records 1 "$rule"' and r["uid"] == 65534 and r["gid"] == 65534 and r["comm"] == "python3"'
[ "$(status list.records)" -gt 0 ] || fail 'no list'
! entries | grep -q "$MNT" || fail 'a rule that audits has measured'

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

# ---- a policy that cannot be loaded ---------------------------------------------------------------------------------
cp "$SCRATCH/policy" "$SCRATCH/policy.good"
rm -rf "$LIST"
start_assayd "policy=$SCRATCH/policy"
echo 'audit func=BOGUS' >"$SCRATCH/policy"
kill -HUP "$DAEMON"
has_refused() {
	[ "$(records 'r.get("op") == "policy_update" and r["res"] == 0 and r["cause"] == "failed" and r["errno"] == 22')" = 1 ]
}
wait_for 10 has_refused
stop_assayd

# ---- a storm beyond the rate ----------------------------------------------------------------------------------------
# Of 5000 files of one user each match has a record or is counted; another user's record is made meanwhile, and
# what was counted is recorded when it is opened again.
echo 'audit func=FILE_CHECK mask=MAY_READ' >"$SCRATCH/policy"
rm -rf "$LIST"
mkdir "$MNT/storm"
python3 - "$MNT/storm" <<-'EOF_PY'
	import sys
	for i in range(5000): open('%s/%04d' % (sys.argv[1], i), 'w').write(str(i))
EOF_PY
cat >"$SCRATCH/open.py" <<'EOF_PY'
import os, sys
folder, first, last, uid = sys.argv[1], *map(int, sys.argv[2:5])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
for i in range(first, last):
    fd = os.open('%s/%04d' % (folder, i), os.O_RDONLY)
    assert os.read(fd, 10) == str(i).encode()
    os.close(fd)
EOF_PY
start_assayd "policy=$SCRATCH/policy" audit_rate=20
python3 "$SCRATCH/open.py" "$MNT/storm" 0 5000 65534
python3 "$SCRATCH/open.py" "$MNT/storm" 0 1 65533 # known by now
python3 "$SCRATCH/open.py" "$MNT/storm" 4999 5000 65533
counts_add_up() {
	"$ASSAY" audit --control "$CONTROL" --json --path "$MNT/storm" >"$SCRATCH/audit"
	python3 - "$SCRATCH/audit" <<-'EOF_PY'
		import json, sys
		rows = [json.loads(l) for l in open(sys.argv[1])]
		made = [r for r in rows if r.get('uid') == 65534 and r['type'] == 'INTEGRITY_RULE']
		limited = sum(r['count'] for r in rows if r.get('op') == 'rate_limit' and r['uid'] == 65534 and r['rule'] == 1)
		print(len(made), 'records', limited, 'limited', file=sys.stderr)
		assert len({r['file'] for r in made}) == len(made) and len(made) >= 200
		assert sum(r.get('uid') == 65533 for r in rows) == 1
		sys.exit(len(made) + limited != 5000)
	EOF_PY
}
wait_for 10 counts_add_up
counts_add_up
# A descriptor that can write keeps marks away: then the table alone stands between.
python3 - "$MNT/written" <<-'EOF_PY'
	import os, sys
	fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
	for content in b'one', b'two', b'one':
	    os.pwrite(fd, content, 0)
	    for i in range(400): os.close(os.open(sys.argv[1], os.O_RDONLY))
EOF_PY
[ $(($(status events.read) - 5000)) -gt 1000 ] || fail 'a file that is being written has a mark'
need_records 3 'r.get("file") == "'"$MNT/written"'"'
[ "$(status audit.limited)" -ge 100 ] || fail "only $(status audit.limited) matches were limited"
python3 "$SCRATCH/open.py" "$MNT/storm" 4998 4999 65533
need_records 1 'r.get("file") == "'"$MNT"'/storm/4998"'
stop_assayd

# ---- a journal that takes nothing -----------------------------------------------------------------------------------
# No opener waits for it; when it is back it is told how many it has missed, and the list says so too.
rm -rf "$LIST"
: >"$SCRATCH/entries.journal"
journal "$SCRATCH/entries.journal"
kill -STOP "$JOURNAL_PID"
start_assayd "policy=$SCRATCH/policy" audit_rate=0 "audit_journal=$JOURNAL"
python3 "$SCRATCH/open.py" "$MNT/storm" 0 5000 65534 # it may take the list apart, but does not wait
[ "$(status audit.records)" -ge 5000 ] || fail 'not all were recorded'
[ "$(status audit.journal.sent)" -lt 4000 ] || fail 'the journal is not stopped'
records_made=$(status audit.records)
kill -CONT "$JOURNAL_PID"
journal_has_all() {
	python3 - "$SCRATCH/entries.journal" "$records_made" <<-'EOF_PY'
		import json, sys
		rows = [json.loads(l) for l in open(sys.argv[1])]
		lost = [r for r in rows if r.get('ASSAY_OP') == 'audit_lost']
		sys.exit(len(rows) - len(lost) + sum(int(r['ASSAY_COUNT']) for r in lost) != int(sys.argv[2]) or not lost)
	EOF_PY
}
wait_for 20 journal_has_all
lost=$(status audit.journal.lost)
# Each such record has those since the last one: on a busy machine the ring may be full before the journal is.
lost_in_list() {
	state_texts | sed -n 's/.*event=audit_lost;sink=journal;count=\([0-9]*\);.*/\1/p' | awk '{ n += $1 } END { print n + 0 }'
}
list_has_lost() {
	[ "$(lost_in_list)" = "$lost" ]
}
wait_for 10 list_has_lost
stop_assayd
echo "a journal that stood still: $lost of $records_made records lost"

# The same at the end: it stops in time, and counts what is left.
rm -rf "$LIST"
kill -STOP "$JOURNAL_PID"
start_assayd "policy=$SCRATCH/policy" audit_rate=0 "audit_journal=$JOURNAL"
python3 "$SCRATCH/open.py" "$MNT/storm" 0 1000 65534
records_made=$(status audit.records) sent=$(status audit.journal.sent)
SECONDS=0
stop_assayd
[ $SECONDS -lt $PATIENCE ] || fail "assayd waits $SECONDS seconds for the journal at its end"
[ "$(lost_in_list)" = $((records_made - sent)) ] ||
	fail "$records_made records, $sent sent: $(state_texts | grep audit_lost)"
kill -CONT "$JOURNAL_PID"
end_journal

# One that ends and comes back, and one that was never there.
rm -rf "$LIST"
start_assayd "policy=$SCRATCH/policy" audit_rate=0 "audit_journal=$JOURNAL" # the socket is there, and nobody behind it
python3 "$SCRATCH/open.py" "$MNT/storm" 0 10 65534
: >"$SCRATCH/entries.journal"
journal "$SCRATCH/entries.journal"
has_ten() {
	[ "$(grep -c '/storm/000' "$SCRATCH/entries.journal")" = 10 ]
}
wait_for 20 has_ten
[ "$(grep -c 'audit records do not go to the journal' "$LOG")" = 1 ] || fail 'it is not said once'
[ "$(state_records event=audit_lost)" = 0 ] || fail 'nothing was lost'
stop_assayd
end_journal

# ---- a follower that stops reading ----------------------------------------------------------------------------------
rm -rf "$LIST"
start_assayd "policy=$SCRATCH/policy" audit_rate=0
mkfifo "$SCRATCH/fifo"
exec 7<>"$SCRATCH/fifo"
background "$ASSAY" audit --control "$CONTROL" --follow --json >&7
FOLLOWER=$PID
read -r first <&7
expect_text "$first" '"op":"policy_update"'
python3 "$SCRATCH/open.py" "$MNT/storm" 0 2500 65534
python3 "$SCRATCH/open.py" "$MNT/storm" 2500 5000 65534
records_made=$(status audit.records)
background sh -c 'exec cat <&7' >"$SCRATCH/followed"
followed_all() {
	python3 - "$SCRATCH/followed" "$records_made" <<-'EOF_PY'
		import json, sys
		rows = [json.loads(l) for l in open(sys.argv[1])]
		lost = sum(r['count'] for r in rows if r.get('op') == 'audit_lost' and r['cause'] == 'follower')
		seen = [r['seq'] for r in rows if 'seq' in r]
		assert seen == sorted(set(seen))
		sys.exit(1 + len(seen) + lost != int(sys.argv[2]) or not lost)
	EOF_PY
}
wait_for 20 followed_all
# It outlives the daemon, and begins anew with the next.
stop_assayd
start_assayd "policy=$SCRATCH/policy"
python3 "$SCRATCH/open.py" "$MNT/storm" 7 8 65532
follows_on() {
	grep -q '/storm/0007.*"uid":65532' "$SCRATCH/followed"
}
wait_for 20 follows_on
exec 7<&-
kill "$FOLLOWER"
wait "$FOLLOWER" || true
stop_assayd
