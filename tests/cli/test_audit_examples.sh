#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# examples/audit: each file is read by the tool that it is for, where that is installed; records of a kernel
# and of assayd go through ausearch and rsyslog, and come out as they were.
. "$TEST_LIB"
need python3
examples=$SOURCE/examples/audit
seeds=$SOURCE/tests/fuzz/corpus/audit
ran=()

cat "$seeds/rule" >"$SCRATCH/audit.json" && echo >>"$SCRATCH/audit.json"
cat "$seeds/status" >>"$SCRATCH/audit.json" && echo >>"$SCRATCH/audit.json"

if command -v systemd-analyze >/dev/null; then
	sed "s#/usr/bin/assay#$ASSAY#" "$examples/assay-audit-stream.service" >"$SCRATCH/assay-audit-stream.service"
	expect 0 systemd-analyze verify --man=no "$SCRATCH/assay-audit-stream.service"
	ran+=(systemd-analyze)
fi

if command -v ausearch >/dev/null; then
	sed 's/ audit(/ msg=audit(/; s/^type=1805/type=INTEGRITY_RULE/; s/^type=1802/type=INTEGRITY_STATUS/' \
		"$SOURCE/tests/vectors/audit/linux-6.1.txt" >"$SCRATCH/records"
	expect 0 ausearch -if "$SCRATCH/records" -m INTEGRITY_RULE --raw
	[ "$(wc -l <<<"$OUT")" = "$(grep -c INTEGRITY_RULE "$SCRATCH/records")" ] || fail "ausearch: $OUT"
	expect 0 ausearch -if "$SCRATCH/records" -m INTEGRITY_RULE -i
	expect_text "$OUT" 'file=/srv/p/blank name '
	ran+=(ausearch)
fi

# From a file to a SIEM, each record as it was.
if command -v rsyslogd >/dev/null; then
	modules=${RSYSLOG_MODULES:-}
	python3 - "$SCRATCH/siem" <<-'EOF_PY' >"$SCRATCH/port" &
		import socket, sys
		s = socket.socket()
		s.bind(('127.0.0.1', 0))
		s.listen()
		print(s.getsockname()[1], flush=True)
		s.settimeout(60)
		c, got = s.accept()[0], b''
		c.settimeout(60)
		while got.count(b'\n') < 2:
		    d = c.recv(65536)
		    if not d: break
		    got += d
		open(sys.argv[1], 'wb').write(got)
	EOF_PY
	siem=$!
	_pids+=("$siem")
	wait_for 10 test -s "$SCRATCH/port"
	{
		echo "global(workDirectory=\"$SCRATCH\")"
		sed "s#/var/log/assay/#$SCRATCH/#; s#siem.example.org#127.0.0.1#; s#\"6514\"#\"$(cat "$SCRATCH/port")\"#" \
			"$examples/rsyslog.conf"
	} >"$SCRATCH/rsyslog.conf"
	expect 0 rsyslogd -N 1 ${modules:+-M "$modules"} -f "$SCRATCH/rsyslog.conf"
	background rsyslogd -n -i NONE ${modules:+-M "$modules"} -f "$SCRATCH/rsyslog.conf" 2>"$SCRATCH/rsyslog.log"
	wait "$siem" || fail "rsyslogd: $(cat "$SCRATCH/rsyslog.log")"
	python3 - "$SCRATCH/audit.json" "$SCRATCH/siem" <<-'EOF_PY' || fail "the SIEM got: $(cat "$SCRATCH/siem")"
		import json, sys
		want = [json.loads(l) for l in open(sys.argv[1])]
		got = [json.loads(l) for l in open(sys.argv[2])]
		assert [g['record'] for g in got] == want and all(g['source'] == 'assay' for g in got), got
	EOF_PY
	ran+=(rsyslogd)
fi

if command -v vector >/dev/null; then
	expect 0 vector validate --no-environment "$examples/vector.yaml"
	ran+=(vector)
fi
[ ${#ran[@]} -gt 0 ] || skip 'no systemd-analyze, ausearch, rsyslogd or vector'
echo "read by: ${ran[*]}"
