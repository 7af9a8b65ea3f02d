#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whom assayd may wait for is found and exempt by itself: services by the cgroup that the service manager puts them
# into, the TPM's process by the socket. What they open is let through at once, and measured afterwards; when they end,
# those that come are. Who only looks like one is not.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
# A tree of cgroups of its own, for whoever is in it.
if [ -z "${ASSAY_TEST_CGROUP:-}" ]; then
	[ "$(id -u)" = 0 ] || skip 'needs root'
	top=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	group=$top/assay-test.$$
	{ [ -n "$top" ] && mkdir "$group" && unshare -C true; } 2>/dev/null || skip 'needs cgroup v2'
	status=0
	# shellcheck disable=SC2016
	ASSAY_TEST_CGROUP=$group bash -c 'echo $$ >"$1/cgroup.procs" && exec unshare -C -m "$2"' \
		cgroup "$group" "$0" || status=$?
	echo 1 >"$group/cgroup.kill" 2>/dev/null || true
	for _ in {1..50}; do # who was killed is in it for a moment
		find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
		[ -d "$group" ] || break
		sleep 0.1
	done
	exit $status
fi
daemon_test mount
need setpriv
swtpm_begin
tcti=$TCTI TCTI=''
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
UNIT=/sys/fs/cgroup/system.slice/systemd-journald.service
mkdir -p "$UNIT"
_mounts+=(/sys/fs/cgroup)
echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"
chmod 711 "$SCRATCH"

# service NAME FOLDER PREFIX...: the child of process 1, as the service manager's are, in that cgroup; opens each path
# that is written into $SCRATCH/NAME.in, and says so in NAME.out. Its pid is in $SERVICE.
service() {
	local name=$1 folder=$2
	shift 2
	mkfifo -m 666 "$SCRATCH/$name.in"
	: >"$SCRATCH/$name.out"
	chmod 666 "$SCRATCH/$name.out"
	cat >"$SCRATCH/$name.py" <<-EOF
		import os
		open("$SCRATCH/$name.pid", "w").write(str(os.getpid()))
		while True:
		    for line in open("$SCRATCH/$name.in"):
		        if line.startswith("exec "): os.execvp(line.split()[1], line.split()[1:])
		        open(line.strip()).read()
		        open("$SCRATCH/$name.out", "a").write("ok " + line)
	EOF
	: >"$SCRATCH/$name.pid"
	chmod 666 "$SCRATCH/$name.pid"
	# shellcheck disable=SC2016
	bash -c 'echo $$ >"$1/cgroup.procs"; shift; "$@" </dev/null >/dev/null 2>&1 & exit 0' \
		start "$folder" "$@" /usr/bin/python3 "$SCRATCH/$name.py"
	wait_for 10 test -s "$SCRATCH/$name.pid"
	SERVICE=$(<"$SCRATCH/$name.pid")
	SERVICES+=("$SERVICE")
}
SERVICES=()
end_services() {
	local status=$?
	kill -KILL "${SERVICES[@]}" 2>/dev/null || true
	kill -CONT "$SWTPM_PID" 2>/dev/null || true
	return $status
}
trap 'end_services || _cleanup; _cleanup' EXIT

is_exempt() {
	status exempt | grep -q "\"name\": \"$1\", \"pid\": $2}"
}
opened() {
	grep -q "^ok $MNT/$2\$" "$SCRATCH/$1.out"
}
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
wait_for 10 opened journald by_journald
! opened fake by_fake || fail 'nobody waits for the TPM: this shows nothing'
kill -CONT "$SWTPM_PID"
wait_for 20 opened fake by_fake
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
