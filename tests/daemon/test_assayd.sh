#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is opened and executed is in the list, once per content, in both ways of first sight; and what
# is known raises no event until it changes.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
need setpriv
daemon_test mount tpm
chmod 711 "$SCRATCH"

PATH=/usr/sbin:/usr/bin:/sbin:/bin # an ordinary user must be able to run it too

AS_NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups)
as_nobody() {
	"${AS_NOBODY[@]}" "$@"
}

# quiet COMMAND...: it raises no event.
quiet() {
	local before after
	before=$(status events.read)
	"$@" >/dev/null
	after=$(status events.read)
	[ "$before" = "$after" ] || fail "'$*' raises $((after - before)) events"
}

# loud COUNT COMMAND...: it raises that many.
loud() {
	local want=$1 before after
	shift
	before=$(status events.read)
	"$@" >/dev/null
	after=$(status events.read)
	[ $((before + want)) = "$after" ] || fail "'$*' raises $((after - before)) events, not $want"
}

chmod 755 "$MNT"

fresh_files() {
	rm -rf "${MNT:?}"/*
	cp /bin/true "$MNT/prog"
	cp /bin/true "$MNT/other"
	echo other >>"$MNT/other"
	echo "data $1" >"$MNT/data"
	echo "mine $1" >"$MNT/mine"
	printf '#!%s/prog\n' "$MNT" >"$MNT/script"
	chmod 755 "$MNT/script" "$MNT/prog" "$MNT/other"
	chown 65534 "$MNT/mine"
}

# ---- eager: the default for tcb --------------------------------------------------------------------
fresh_files eager
start_assayd
[ "$(status policy.first_sight)" = eager ] || fail 'tcb is not eager'
[ "$(status anchor.kind)" = tpm2 ] || fail 'the anchor is not the TPM'
need_measured "$MNT/data" 0

# An ordinary user's open is enough, and then everybody's is quiet.
loud 1 as_nobody cat "$MNT/data"
need_measured "$MNT/data" 1
quiet cat "$MNT/data"
quiet as_nobody cat "$MNT/data"
need_measured "$MNT/data" 1

# Execution: one event for the program, none the next time, also for reading it.
loud 1 as_nobody "$MNT/prog"
need_measured "$MNT/prog" 1
quiet "$MNT/prog"
quiet cat "$MNT/prog"

# A script and its interpreter.
loud 1 "$MNT/script"
need_measured "$MNT/script" 1

# Changes of every kind are seen, and the content is measured again.
echo more >>"$MNT/data"
loud 1 cat "$MNT/data"
need_measured "$MNT/data" 2
echo again >"$MNT/data"
loud 1 as_nobody cat "$MNT/data"
need_measured "$MNT/data" 3
truncate -s 3 "$MNT/data"
loud 1 cat "$MNT/data"
need_measured "$MNT/data" 4
echo renamed >"$MNT/new"
mv "$MNT/new" "$MNT/data"
loud 1 cat "$MNT/data"
need_measured "$MNT/data" 5
cp "$MNT/other" "$MNT/prog.new"
chmod 755 "$MNT/prog.new"
mv "$MNT/prog.new" "$MNT/prog"
loud 1 "$MNT/prog"
need_measured "$MNT/prog" 2

# The same content under another name is another record; under the same name it is none.
cp "$MNT/data" "$MNT/copy"
cat "$MNT/copy" >/dev/null
need_measured "$MNT/copy" 1
touch "$MNT/copy"
cp "$MNT/data" "$MNT/copy"
loud 1 cat "$MNT/copy"
need_measured "$MNT/copy" 1

# While somebody writes, a reader is measured, with a violation, and no mark is set.
python3 - "$MNT/data" <<'EOF'
import subprocess, sys
f = open(sys.argv[1], 'a')
f.write('written')
f.flush()
subprocess.run(['cat', sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
EOF
[ "$(status list.violations)" = 1 ] || fail "violations: $(status list.violations), not 1"
loud 1 cat "$MNT/data"
[ "$(status list.violations)" = 1 ] || fail 'a file that nobody writes is a violation'
quiet cat "$MNT/data"

# What is opened for writing alone is not measured.
echo unread >"$MNT/unread"
need_measured "$MNT/unread" 0

# Somebody who holds a write lease on a file of his own stops nobody but its openers.
cat >"$SCRATCH/lease.py" <<'EOF'
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR)
while True: # until the daemon has closed what our own open brought it
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        break
    except BlockingIOError:
        time.sleep(0.01)
signal.pause()
EOF
chmod 644 "$SCRATCH/lease.py"
background "${AS_NOBODY[@]}" python3 "$SCRATCH/lease.py" "$MNT/mine"
lease=$PID
wait_for 5 grep -q -E "LEASE .* WRITE .*:$(stat -c %i "$MNT/mine") " /proc/locks
SECONDS=0
timeout 2 cat "$MNT/mine" >/dev/null 2>&1 || true
timeout 20 cat "$MNT/copy" >/dev/null || fail 'others wait behind a write lease'
[ $SECONDS -lt 40 ] || fail 'a write lease held everybody up' # for as long as the kernel lets it last: 45
kill "$lease"
wait "$lease" || true
stop_assayd

# ---- exact: what the kernel would do for each opener --------------------------------------------------
fresh_files exact
LIST=$SCRATCH/list-exact
start_assayd first_sight=exact
[ "$(status policy.first_sight)" = exact ] || fail 'it is not exact'
# An ordinary user's reading is not measured, and stays in sight.
loud 1 as_nobody cat "$MNT/data"
loud 1 as_nobody cat "$MNT/data"
need_measured "$MNT/data" 0
# root's is; then nobody's open can add anything, so all are quiet.
loud 1 cat "$MNT/data"
need_measured "$MNT/data" 1
quiet cat "$MNT/data"
quiet as_nobody cat "$MNT/data"
# Whoever executes is measured.
as_nobody "$MNT/prog"
need_measured "$MNT/prog" 1
quiet as_nobody "$MNT/prog"
# Opened for writing and reading: measured for root, by the mask; but not for writing alone.
python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDWR)' "$MNT/other"
need_measured "$MNT/other" 1
python3 -c 'import os, sys; os.open(sys.argv[1], os.O_WRONLY)' "$MNT/mine"
need_measured "$MNT/mine" 0
stop_assayd
grep -v -E 'watching|opens what it likes|were looked at|cannot open .* of process' "$LOG" && fail 'it has complained'
exit 0
