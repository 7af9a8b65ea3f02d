#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user's processes hang in exec, as his own FUSE server does not write back what the old program had mapped: nobody
# can read what the kernel guards by exec_update_lock, /proc/PID/syscall, exe and ns among it, for as long as he likes.
# Each is an opener whose file comes to its turn then. Others are answered in time, and are not taken for such; the
# audit record says what it lacks; what looked at them is killed and replaced.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
HELD=$((SLOW > 1 ? 1 : 3))
DEADLINE_MS=120000 # nobody waits for it: what hangs is to be there before
: "${DAEMON_SECONDS:=280}" "${ASK_SECONDS:=150}"
user
hang_test mount=1G tpm
as_user unshare -Urm true || skip 'users cannot make mount namespaces here'
as_user test -w /dev/fuse || skip 'users cannot use FUSE here'
printf '%s\n' 'audit func=FILE_CHECK mask=^MAY_READ' 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"
cp "$SOURCE"/tests/daemon/{silent_fuse,held_exec}.py "$SCRATCH"
as_user truncate -s 4T "$MNT/long"
as_user mkdir "$MNT/victims"
make_files "$MNT/others" 200 >"$SCRATCH/others"
make_files "$MNT/others-later" 200 >"$SCRATCH/others-later"
make_files "$MNT/same-user" 50 >"$SCRATCH/same-user"
mkdir -m 1777 "$MNT/programs"
mkdir -m 777 "$SCRATCH/held"

# hold NAME: somebody who opens $MNT/victims/NAME, and hangs in exec from when $SCRATCH/go is there; until his server
# ends. All of it is a user's, the mount namespace too.
HOLDERS=()
hold() {
	local own=$SCRATCH/held/$1
	as_user mkdir "$own"
	as_user truncate -s 64M "$MNT/victims/$1" # long files wait for each other
	as_user chmod 755 "$MNT/victims/$1"
	# shellcheck disable=SC2016
	background "${USER_RUNS[@]}" unshare -Urm bash -c 'cd "$1" || exit
		python3 silent_fuse.py "$2" write >"$2.server" 2>&1 &
		echo $! >"$2.pid"
		while kill -0 $! && ! grep -q mounted "$2.server"; do sleep 0.01; done
		exec python3 held_exec.py "$2/file" "$3" "$1/go"' hold "$SCRATCH" "$own" "$MNT/victims/$1" >"$own.log" 2>&1
	HOLDERS+=("$PID")
}

# Whatever happens, nobody is held any more: they would stop others on this machine who look at all processes.
end_holds() {
	local status=$? file
	for file in "$SCRATCH"/held/*.pid; do
		[ ! -s "$file" ] || kill -KILL "$(cat "$file")" 2>/dev/null || true
		rm -f "$file"
	done
	return $status
}
trap 'end_holds || _cleanup; _cleanup' EXIT

# holds: each server was asked to write back, by an exec, and has not answered; root cannot look at them either.
holds() {
	local i readers=()
	for ((i = 0; i < HELD; i++)); do
		grep -q silent "$SCRATCH/held/$i.server" || return 1
		timeout 2 cat "/proc/${HOLDERS[i]}/syscall" >/dev/null 2>&1 &
		readers+=($!)
	done
	for i in "${readers[@]}"; do
		! wait "$i" || return 1
	done
}
is_silent() { [ "$(cat "$SCRATCH"/held/*.server | grep -c silent)" = $HELD ]; }

start_hang workers=1 max_file_size_mib=16777216
# The one worker that long files have is busy with one until that is cut off; those behind it get their turn then.
echo "$MNT/long" >"$SCRATCH/long-paths"
in_background read 1 "$SCRATCH/long" <"$SCRATCH/long-paths"
LONG_ASKS=$PID
wait_for 60 some_held 1
for ((i = 0; i < HELD; i++)); do hold "$i"; done
have_opened() { [ "$(cat "$SCRATCH"/held/*.log | grep -c opens)" = $HELD ]; }
wait_for 100 have_opened
wait_for 60 some_held $((1 + HELD))
touch "$SCRATCH/go"
wait_for 60 is_silent
holds || fail 'who hangs in exec can be looked at'
[ "$(status events.deadlines)" = 0 ] || skip 'this machine is too slow: the deadline came first'

# Openers of another user, and of the same: before the victims' turn, when it comes, and after it.
user 65533
in_background read 4 "$SCRATCH/others-first" <"$SCRATCH/others"
FIRST=$PID
user
set_size "$MNT/long" 0
wait "$LONG_ASKS" || fail 'somebody waits'
user 65533
asks read 4 "$SCRATCH/others-told" <"$SCRATCH/others"
have_asked() { [ "$(status events.unanswered)" -ge $HELD ]; }
wait_for 60 have_asked
asks read 4 "$SCRATCH/others-then" <"$SCRATCH/others-later"
user
asks read 4 "$SCRATCH/same-user-told" <"$SCRATCH/same-user"
wait "$FIRST" || fail 'somebody waits'
TOLD=("$SCRATCH"/{others-first,others-told,others-then,same-user-told})
for who in "${TOLD[@]}"; do
	need_quick "$who" 20000
	need_allowed "$who"
done
is_well() { ! status health.troubles | grep -q loop_stuck; }
wait_for 60 is_well
holds || fail 'they do not hang any more'

# Who looked is there again, and looks: who hung is not known, others are. On a busy machine an answer may be late.
two_look() { [ "$(status processes | grep -o '"role": "peek", "pid": [0-9]*, "state": "runs"' | wc -l)" = 2 ]; } # pgrep would hang
wait_for 60 two_look
audit_has() {
	"$ASSAY" audit --json --control "$CONTROL" >"$SCRATCH/audit"
	python3 - "$SCRATCH/audit" "$MNT" "$@" <<-'EOF'
		import json, sys
		records = [json.loads(line) for line in open(sys.argv[1])]
		found = [r for r in records if r.get('file', '').startswith(f'{sys.argv[2]}/{sys.argv[3]}/')]
		unseen = [r for r in found if 'unseen' in r]
		for r in unseen:
		    assert r['unseen'] == 'pid,ppid,uid,suid,fsuid,gid,sgid,fsgid,tty,exe,subj,mntns,pidns', r
		    assert 'exe' not in r and 'mntns' not in r and 'pid' not in r and 'tid' in r, r
		for r in found:
		    assert 'unseen' in r or r['exe'].endswith('/opener') and r['mntns'], r
		    assert r['euid'] == r.get('uid', r['euid']) == int(sys.argv[4]), r
		print(len(found), 'records', len(unseen), 'unseen')
		sys.exit(len(unseen) != int(sys.argv[5]) if sys.argv[3] == 'victims' else len(found) == len(unseen))
	EOF
}
wait_for 60 audit_has victims 65534 $HELD
user 65533
ASKED=0
others_are_seen() {
	ASKED=$((ASKED + 1))
	make_files "$MNT/programs/$ASKED" 5 >"$SCRATCH/five"
	asks read 4 "$SCRATCH/five-told" <"$SCRATCH/five"
	audit_has programs 65533
}
wait_for 60 others_are_seen
holds || fail 'they do not hang any more'
end_holds
kill -KILL "${HOLDERS[@]}"
wait "${HOLDERS[@]}" || true
wait_for 60 none_held
hang_end "$SCRATCH/long" "${TOLD[@]}"
