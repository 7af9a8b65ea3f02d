#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The whole machine is watched, "/" and all, with the kernel's own TPM, and a user reads every file that there is, three
# times at once: nobody is refused, and all that could be read is in the list, and proved.
. ./lib.sh
insert_modules
user=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --)
{
	for magic in 0x9fa0 0x62656572 0x64626720 0x1cd1 0x01021994 0x73636673 0x27e0eb 0x63677270 0x74726163 0xcafe4a11; do
		echo "dont_measure fsmagic=$magic"
	done
	printf '%s\n' 'measure func=FILE_CHECK mask=^MAY_READ' 'measure func=BPRM_CHECK' 'measure func=MMAP_CHECK mask=MAY_EXEC'
} >/run/policy
install_assay policy=/run/policy deadline_ms=60000
start_assayd
step "assayd is up"
grep -q " / / " /proc/self/mountinfo || fail 'there is no root'

# read_all N: what cat says is looked at afterwards; that something may not be read by a user is no fault.
read_all() {
	"${user[@]}" find / -xdev -type f -exec cat {} + >/dev/null 2>"/run/read-$1" || true
}
began=$SECONDS
for i in 1 2 3; do read_all $i & readers[i]=$!; done
wait "${readers[@]}"
step "three have read all in $((SECONDS - began)) s"
# A refused open is "Operation not permitted"; what /proc and /sys refuse is their own.
! grep -h 'Operation not permitted' /run/read-? | grep -v -E '^cat: /(proc|sys)/' | head -n 3 | grep . || fail 'an open was refused'
assay status --json >/run/status || [ $? = 1 ] || fail 'assayd does not answer'
for counter in deadlines refused overflows errors; do
	grep -q "\"$counter\": *0\b" /run/status || fail "$counter: $(grep -o "\"$counter\": *[0-9]*" /run/status)"
done
# Each file by one of its names.
"${user[@]}" find / -xdev -type f -readable -printf '%i %p\n' 2>/dev/null | sort >/run/files
records | awk '$3 == "ima-ng" { print $5 }' | sort -u >/run/measured
awk 'FILENAME == "/run/measured" { measured[$1] = 1; next } { n[$1]++; if ($2 in measured) seen[$1] = 1 }
	END { for (i in n) { all++; if (!(i in seen)) { missing++; print "missing inode " i } }
		print all " files, " missing + 0 " missing"; exit missing > 0 || all < 1000 }' /run/measured /run/files >/run/account ||
	fail "not all is in the list: $(tail -n 5 /run/account)"
step "$(tail -n 1 /run/account)"
make_programs /srv/all 3
run_programs /srv/all
need_proved /srv/all
kib=$(for pid in $(pgrep -f '^(assayd:|/usr/sbin/assayd)'); do grep '^Pss:' "/proc/$pid/smaps_rollup"; done | awk '{ kib += $2 } END { print kib }')
step "assayd's processes have $kib KiB (PSS), the list $(records | wc -l) records"
[ "$kib" -lt 49152 ] || fail "$kib KiB"
stop_assayd
