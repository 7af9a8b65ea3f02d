#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whom assayd may wait for is found and exempt by itself: services by the cgroup that the service manager puts them
# into, the TPM's process by the socket. What they open is let through at once, and measured afterwards; when they end,
# those that come are. Who only looks like one is not.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/service.sh"
daemon_test mount
need setpriv
swtpm_begin
tcti=$TCTI TCTI=''
services_begin
echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"

measured() {
	entries | grep -q " $MNT/$1\$"
}

service journald "$UNIT"
journald=$SERVICE
[ "$(awk '$1 == "PPid:" { print $2 }' "/proc/$journald/status")" = 1 ] || skip 'orphans are not the children of process 1 here'
service fake /sys/fs/cgroup/ bash -c 'exec -a systemd-journald "$@"' fake
fake=$SERVICE
start_assayd "policy=$SCRATCH/policy" anchor=tpm2 "tcti=$tcti" deadline_ms=60000
is_exempt journald "$journald" || fail "journald is not exempt: $(status exempt)"
is_exempt TPM "$SWTPM_PID" || fail "the TPM is not exempt: $(status exempt)"
! status exempt | grep -q "$fake" || fail 'a name is enough'
wait_for 60 records_are "event=exempt;kind=journald;pid=$journald;" = 1 "it is not in the list: $(state_texts)"
wait_for 60 records_are 'event=exempt;kind=TPM' = 1 'the TPM is not in the list'

# ---- at once, while others wait; and measured afterwards -------------------------------------------------------
for name in by_journald by_fake; do echo $name >"$MNT/$name"; done
kill -STOP "$SWTPM_PID"
echo "$MNT/by_fake" >"$SCRATCH/fake.in"
echo "$MNT/by_journald" >"$SCRATCH/journald.in"
wait_for 10 opened journald "$MNT/by_journald"
! opened fake "$MNT/by_fake" || fail 'nobody waits for the TPM: this shows nothing'
kill -CONT "$SWTPM_PID"
wait_for 20 opened fake "$MNT/by_fake"
wait_for 20 measured by_journald
need_measured "$MNT/by_journald" 1
[ "$(status events.exempt)" -gt 0 ] || fail 'it was not exempt'

# ---- another program in the same process ---------------------------------------------------------------------------
echo 'exec sleep 1000' >"$SCRATCH/journald.in"
ended() { [ "$(state_records "event=exempt-ended;kind=journald;pid=$journald;path=[a-z/]*/sleep;")" = 1 ]; }
wait_for 10 ended
looked_at() { [ "$(state_records "event=exempt;kind=journald;pid=$journald;path=[a-z/]*/sleep;")" = 1 ]; }
wait_for 10 looked_at
is_exempt journald "$journald" || fail 'it is the service still'

# ---- another one in its place -------------------------------------------------------------------------------------
kill -KILL "$journald"
rm "$SCRATCH"/journald.*
service journald "$UNIT"
wait_for 10 is_exempt journald "$SERVICE"
! is_exempt journald "$journald" || fail 'one that has ended is exempt'
wait_for 60 records_are "event=exempt;kind=journald;pid=$SERVICE;" = 1 'the second is not in the list'
old=$SWTPM_PID
TCTI=$tcti swtpm_reset
wait_for 30 is_exempt TPM "$SWTPM_PID"
! is_exempt TPM "$old" || fail 'the TPM of before is exempt'

# ---- a user's process, wherever it is ---------------------------------------------------------------------------------
kill -KILL "$SERVICE"
rm "$SCRATCH"/journald.*
service journald "$UNIT" setpriv --reuid=65534 --regid=65534 --clear-groups
gone() { ! status exempt | grep -q journald; }
wait_for 10 gone
sleep_ticks() { [ "$(status events.read)" -gt "$seen" ]; }
seen=$(status events.read)
echo x >"$MNT/x"
cat "$MNT/x" >/dev/null
wait_for 10 sleep_ticks
gone || fail "a user's process is exempt"
stop_assayd

# ---- what is wrong with us is not the service's fault ------------------------------------------------------------------
mkdir "$SCRATCH/small"
mount -t tmpfs -o size=2M none "$SCRATCH/small" || skip 'cannot mount a tmpfs here'
_mounts+=("$SCRATCH/small")
LIST=$SCRATCH/small/list
kill -KILL "$SERVICE"
rm "$SCRATCH"/journald.*
start_assayd "policy=$SCRATCH/policy" "exempt_pid=$SWTPM_PID"
head -c 4M /dev/zero >"$SCRATCH/small/filler" 2>/dev/null || true
# Long names fill the list, short ones what those leave: then a service's record has no room.
python3 - "$MNT" <<-'EOF'
	import os, sys
	def fill(folder, n):
	    os.makedirs(folder, exist_ok=True)
	    for i in range(n):
	        path = '%s/%d' % (folder, i)
	        with open(path, 'w') as f: f.write(path)
	        open(path).read()
	fill('%s/%0200d/%0200d' % (sys.argv[1], 0, 0), 6000)
	fill(sys.argv[1] + '/short', 50)
EOF
[ "$(status list.full)" = true ] || fail 'the list is not full'
service journald "$UNIT"
wait_for 10 log_says "journald \\(process $SERVICE\\) is not exempt"
rm "$SCRATCH/small/filler"
mount -o remount,size=64M "$SCRATCH/small"
wait_for 30 is_exempt journald "$SERVICE"
stop_assayd
