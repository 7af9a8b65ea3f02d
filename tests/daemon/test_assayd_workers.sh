#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Workers are killed again and again while files are read: every opener goes on, every file is in the list or
# in a gap entry, others take their place, and none has the fanotify group.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount

echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"
start_assayd "policy=$SCRATCH/policy" workers=2
[ "$(workers | wc -l)" = 3 ] || fail "there are $(workers | wc -l) workers, not 3"
for pid in $(workers); do
	! find "/proc/$pid/fd" -lname '*fanotify*' | grep -q . || fail 'a worker has the fanotify group'
	grep -q '^CapEff:[[:space:]]*0*$' "/proc/$pid/status" || fail 'a worker has a capability'
	grep -q '^Seccomp:[[:space:]]*2$' "/proc/$pid/status" || fail 'a worker has no filter'
done
for i in {1..400}; do head -c 40000 /dev/urandom >"$MNT/$i"; done
(for i in {1..400}; do cat "$MNT/$i" >/dev/null || echo "$i"; done) >"$SCRATCH/refused" &
READER=$!
killed=0
while [ $killed -lt 6 ] && kill -0 $READER 2>/dev/null; do
	# shellcheck disable=SC2046 # numbers
	kill -KILL $(workers | shuf -n 1) 2>/dev/null && killed=$((killed + 1))
done
wait $READER
echo "$killed workers were killed"
[ $killed -gt 3 ] || fail 'too few workers were killed'
[ ! -s "$SCRATCH/refused" ] || fail "openers were refused: $(head "$SCRATCH/refused")"
entries >"$SCRATCH/entries"
measured=$(grep -c " $MNT/[0-9]*\$" "$SCRATCH/entries" || true)
[ $((measured + $(status events.deadlines))) -ge 400 ] || fail "$measured files are measured, $(status events.deadlines) in gaps"
all_back() { [ "$(workers | wc -l)" = 3 ]; }
wait_for 30 all_back
stop_assayd

# As many as there is need of: the ones who are always there stand still while many files wait.
start_assayd "policy=$SCRATCH/policy" workers=4
[ "$(workers | wc -l)" = 3 ] || fail "there are $(workers | wc -l) workers, not 3"
mapfile -t first < <(workers)
for i in {401..460}; do echo "$i" >"$MNT/$i"; done
halt "${first[@]}"
readers=()
for i in {401..460}; do
	background cat "$MNT/$i" >/dev/null
	readers+=("$PID")
done
have_grown() { [ "$(workers | grep -cvxF "$(printf '%s\n' "${first[@]}")")" -ge 2 ]; }
wait_for 30 have_grown
kill -CONT "${first[@]}" || true # who stood still for too long was ended
for pid in "${readers[@]}"; do wait "$pid" || fail 'an opener was refused'; done
[ "$(workers | wc -l)" -le 5 ] || fail "there are $(workers | wc -l) workers, of 5 at most"
[ "$(status events.deadlines)" = 0 ] || fail 'somebody waited for the deadline'
stop_assayd
