#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The whole machine is watched, "/" and all, with the kernel's own TPM, and a user reads every file that there is, three
# times at once: nobody is refused, all that could be read is in the list, and proved, and memory is bounded. $1: "few",
# of files that nothing here needs.
. ./lib.sh
export PYTHONDONTWRITEBYTECODE=1 # a file that comes while all are read
PSS_MAX_KB=32768
mkdir /run/tests
tar -x -C /run/tests -f tests.tar
user=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --)
# Not proc, sysfs, securityfs, tmpfs, cgroup2, devpts.
printf 'dont_measure fsmagic=%s\n' 0x9fa0 0x62656572 0x73636673 0x01021994 0x63677270 0x1cd1 >/run/policy
printf 'measure func=%s\n' 'FILE_CHECK mask=^MAY_READ' BPRM_CHECK 'MMAP_CHECK mask=MAY_EXEC' >>/run/policy
[ "${1:-}" != few ] || rm -rf /usr/share/perl /usr/lib/x86_64-linux-gnu/{perl,perl-base,gconv} /usr/lib/udev/hwdb.d /lib/modules
install_assay policy=/run/policy deadline_ms=60000
start_assayd
step "assayd is up"
python3 /run/tests/tests/daemon/hang_memory.py "$DAEMON" >/run/pss &
watcher=$!

# pss: KiB of all of assayd's processes by now.
pss() {
	# shellcheck disable=SC2046 # numbers
	awk '/^Pss:/ { kib += $2 } END { print kib + 0 }' $(pgrep -f '^(assayd: |/usr/sbin/assayd)' | sed 's#.*#/proc/&/smaps_rollup#')
}
count() {
	./status_of $CONTROL "$1"
}

# read_all N: what cat says is looked at afterwards; that something may not be read by a user is no fault.
read_all() {
	"${user[@]}" find / -xdev -type f -exec cat {} + 2>"/run/read-$1" | wc -c >"/run/bytes-$1"
}
# Who looks for a fault shall see how far it came.
progress() {
	while sleep 10; do
		step "  $(timeout 8 ./status_of $CONTROL list.records) records, $(timeout 8 ./status_of $CONTROL events.held) wait"
	done
}
before=$(pss) began=$SECONDS readers=()
progress &
progress=$!
for i in 1 2 3; do
	read_all $i &
	readers+=($!)
done
wait "${readers[@]}"
seconds=$((SECONDS - began))
kill $progress
step "three have read $(tr '\n' ' ' </run/bytes-1)bytes each in $seconds s"
! grep -h -i 'not permitted' /run/read-? | head -n 3 | grep . || fail 'an open was refused'
# Logs grow meanwhile.
least=$(sort -n /run/bytes-? | head -n 1) most=$(sort -n /run/bytes-? | tail -n 1)
[ $((most - least)) -lt $((most / 100)) ] || fail "they did not read the same: $(cat /run/bytes-?)"
for counter in deadlines refused overflows errors; do
	[ "$(count events.$counter)" = 0 ] || fail "$counter: $(count events.$counter)"
done

# Each file by one of its names.
"${user[@]}" find / -xdev -type f -readable -printf '%i %p\n' 2>/dev/null >/run/files || true
records | sed -n 's/^[0-9]* [0-9a-f]* ima-ng [^ ]* //; T; s/\\\\/\\/g; p' | sort -u >/run/measured
awk 'FILENAME == "/run/measured" { measured[$0] = 1; next }
	{ i = $1; sub(/^[0-9]* /, ""); name[i] = $0; if ($0 in measured) seen[i] = 1 }
	END { for (i in name) { all++; if (!(i in seen)) { missing++; print "not in the list: " name[i] } }
		print all " files, " missing + 0 " of them not in the list"; exit missing > 0 || all < 1000 }' \
	/run/measured /run/files >/run/account || fail "a loss: $(tail -n 5 /run/account)"
step "$(tail -n 1 /run/account), which has $(wc -l </run/measured) files"
make_programs /srv/all 3
run_programs /srv/all
need_proved /srv/all
after=$(pss)
stop_assayd
wait $watcher
most=$(tail -n 1 /run/pss)
step "assayd's processes: $before KiB (PSS) before, $most at most, $after after"
[ "$most" -lt $PSS_MAX_KB ] || fail "$most KiB"
