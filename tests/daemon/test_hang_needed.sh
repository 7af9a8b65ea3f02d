#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Exempt processes that hang in exec, as the server of a FUSE file that they have written to does not answer: a service,
# and one that exempt_pid names, which is a user's. Whoever looks at what they run waits for that server. assayd goes on to
# do all it does, looks at the others, and says that it cannot look at these; at the start it does not wait for them either.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
. "$SOURCE/tests/daemon/service.sh"
hang_test mount
services_begin
cp "$SOURCE/tests/daemon/exec_holder.py" "$SCRATCH/holder.py"

# silent NAME: a server that takes no write any more.
silent() {
	silent_server "$1" write
	touch "$SCRATCH/$1.stall"
	trap 'kill_servers || end_services || _cleanup; end_services || _cleanup; _cleanup' EXIT
}
# user_holder NAME: a user's process that hangs in exec as soon as $SCRATCH/NAME.go is there.
user_holder() {
	silent "$1"
	background "${USER_RUNS[@]}" python3 "$SCRATCH/holder.py" "$SCRATCH/$1/file" "$SCRATCH/$1.go"
	HOLDER=$PID
	wait_for 20 runs_python "$HOLDER"
}
runs_python() {
	[[ $(readlink "/proc/$1/exe") == */python3* ]]
}
# hangs PID NAME: it waits for its server, and who looks at what it runs waits for it.
hangs() {
	local status=0
	grep -q silent "$SCRATCH/$2.log" || return 1
	timeout -s KILL 2 stat -L "/proc/$1/exe" >/dev/null 2>&1 || status=$?
	[ $status = 137 ]
}
# need_answers: main does.
need_answers() {
	timeout $PATIENCE "$STATUS_OF" "$CONTROL" list >/dev/null || fail 'nobody answers at the control socket'
	timeout $PATIENCE "$ASSAY" reload --control "$CONTROL" >/dev/null || fail 'it does not reload: main stands still'
}
is_seen() { ! status health.troubles | grep -q exempt_unseen; }
is_unseen() { status health.troubles | grep -q "\"exempt_unseen\", \"reason\": \"$1 "; }

# ---- while it runs ----------------------------------------------------------------------------------------------------
service journald "$UNIT"
journald=$SERVICE
[ "$(awk '$1 == "PPid:" { print $2 }' "/proc/$journald/status")" = 1 ] || skip 'orphans are not the children of process 1 here'
service other /sys/fs/cgroup/
other=$SERVICE
user_holder user
user=$HOLDER
silent journal
make_files "$MNT/files" 50 >"$SCRATCH/files"
start_hang "exempt_pid=$user" "exempt_pid=$other"
is_exempt journald "$journald" || fail "journald is not exempt: $(status exempt)"
is_exempt exempt_pid "$user" || fail "the user's is not exempt: $(status exempt)"
is_seen || fail 'all that are exempt can be looked at'

echo "hold $SCRATCH/journal/file" >"$SCRATCH/journald.in"
wait_for 10 grep -q '^ok hold' "$SCRATCH/journald.out"
echo 'exec sleep 1000' >"$SCRATCH/journald.in"
touch "$SCRATCH/user.go"
wait_for 20 grep -q silent "$SCRATCH/journal.log"
wait_for 20 grep -q silent "$SCRATCH/user.log"
hangs "$journald" journal || skip 'this kernel shows what runs all the same'
need_answers
asks read 4 "$SCRATCH/told" <"$SCRATCH/files"
need_quick "$SCRATCH/told" $SLACK_MS
need_allowed "$SCRATCH/told"
wait_for 60 is_unseen 2
need_answers
# They do nothing while they hang. Nobody is exempt less for it: who needs journald would wait for ourselves.
is_exempt journald "$journald" || fail 'journald is not exempt any more'
is_exempt exempt_pid "$user" || fail "the user's is not exempt any more"
wait_for 60 records_are "event=exempt-unseen;kind=journald;pid=$journald;" = 1 'that it cannot be looked at is not in the list'
hangs "$journald" journal || fail 'it does not hang any more'

# The others are looked at all the while.
echo 'exec sleep 1000' >"$SCRATCH/other.in"
wait_for 60 records_are "event=exempt-ended;kind=exempt_pid;pid=$other;path=[a-z/]*/sleep;" = 1 'another program is not seen'
need_answers

# They execute at last, and are looked at: another program each.
kill_servers
wait_for 60 records_are "event=exempt-ended;kind=exempt_pid;pid=$user;" = 1 'it executes something else, and is exempt'
wait_for 60 records_are "event=exempt-ended;kind=journald;pid=$journald;" = 1 'the service executes something else, and is exempt'
wait_for 60 is_exempt journald "$journald" # as what it runs now
wait_for 60 is_seen
hang_end "$SCRATCH/told"

# ---- from the start ---------------------------------------------------------------------------------------------------
kill -KILL "$journald"
rm "$SCRATCH"/journald.* "$SCRATCH"/journal.*
umount -l "$SCRATCH/journal"
rmdir "$SCRATCH/journal"
silent journal
service journald "$UNIT"
journald=$SERVICE
echo "hold $SCRATCH/journal/file" >"$SCRATCH/journald.in"
wait_for 10 grep -q '^ok hold' "$SCRATCH/journald.out"
echo 'exec sleep 1000' >"$SCRATCH/journald.in"
wait_for 60 hangs "$journald" journal
start_assayd
! is_exempt journald "$journald" || fail 'it is exempt, and not in the list'
log_says "journald \\(process $journald\\) is not exempt: " || fail 'nobody says so'
wait_for 60 is_unseen 1
need_answers
kill_servers
wait_for 60 is_exempt journald "$journald"
wait_for 60 is_seen
stop_assayd

# It ends when it is asked to while one hangs. At the next start that one is said, as root has named it, and not waited for.
user_holder named
start_assayd "exempt_pid=$HOLDER"
is_exempt exempt_pid "$HOLDER" || fail "who is named is not exempt: $(status exempt)"
touch "$SCRATCH/named.go"
wait_for 60 hangs "$HOLDER" named
wait_for 60 log_says "who looked at what is exempt \\(process $HOLDER\\) did not come back"
stop_assayd
hangs "$HOLDER" named || fail 'it does not hang any more'
expect 2 timeout $PATIENCE "$ASSAYD" --config "$CONF"
expect_text "$ERR" "exempt_pid: cannot exempt process $HOLDER: "
kill_servers
