# SPDX-License-Identifier: LGPL-2.1-or-later
# Stand-ins for services that assayd needs; sourced first of all, after $TEST_LIB: the test is run again in a tree of
# cgroups of its own, for whoever is in it.
# shellcheck shell=bash
if [ -z "${ASSAY_TEST_CGROUP:-}" ]; then
	[ "$(id -u)" = 0 ] || skip 'needs root'
	top=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	own=$(sed -n 's,^0::/,,p' /proc/self/cgroup) # who freezes us freezes all that is ours
	case $own in *..*) own='' ;; esac
	group=$top/${own:+$own/}assay-test.$$
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

# services_begin: after daemon_test. journald's cgroup is $UNIT. Whoever sets another trap calls end_services in it.
SERVICES=()
services_begin() {
	umount -R /sys/fs/cgroup
	mount -t cgroup2 none /sys/fs/cgroup
	UNIT=/sys/fs/cgroup/system.slice/systemd-journald.service
	mkdir -p "$UNIT"
	_mounts+=(/sys/fs/cgroup)
	chmod 711 "$SCRATCH"
	trap 'end_services || _cleanup; _cleanup' EXIT
}
end_services() {
	local status=$?
	kill -KILL "${SERVICES[@]}" 2>/dev/null || true
	[ -z "${SWTPM_PID:-}" ] || kill -CONT "$SWTPM_PID" 2>/dev/null || true
	return $status
}

# service NAME FOLDER PREFIX...: the child of process 1, as the service manager's are, in that cgroup; opens each path
# that is written into $SCRATCH/NAME.in, and says so in NAME.out. "hold PATH" is written into a mapping of that file, and
# "exec COMMAND..." executed. Its pid is in $SERVICE.
service() {
	local name=$1 folder=$2
	shift 2
	mkfifo -m 666 "$SCRATCH/$name.in"
	: >"$SCRATCH/$name.out"
	chmod 666 "$SCRATCH/$name.out"
	cat >"$SCRATCH/$name.py" <<-EOF
		import mmap, os
		open("$SCRATCH/$name.pid", "w").write(str(os.getpid()))
		while True:
		    for line in open("$SCRATCH/$name.in"):
		        word = line.split()
		        if word[0] == "exec": os.execvp(word[1], word[1:])
		        if word[0] == "hold":
		            memory = mmap.mmap(os.open(word[1], os.O_RDWR), mmap.PAGESIZE)
		            memory[0:1] = b"y"
		        else: open(line.strip()).read()
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

is_exempt() {
	status exempt | grep -q "\"name\": \"$1\", \"pid\": $2}"
}
opened() {
	grep -q "^ok $2\$" "$SCRATCH/$1.out"
}
