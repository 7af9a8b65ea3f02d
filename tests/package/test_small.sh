#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# In a control group with 64 MiB and a fifth of a processor assayd measures 7,000 new files without a gap, and
# all its processes together, the view's too, have at most 16 MiB (PSS), whether it watches one filesystem or looks for
# all that are mounted, and however many processors there are; where nobody else uses the same libraries not much more.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
need_root
need unshare mkfs.ext4 python3 blkid
in_namespaces "$@"
unset MALLOC_PERTURB_ # of the test runner: it would make resident whatever is allocated
FILES=7000 GROUPS_MADE=()
ALONE_MAX=18432 # Debian 13 (docs/decisions/0049-memory.md)
case $("$ASSAYD" --version; ldd "$ASSAYD") in *libasan*) skip 'a sanitizer has memory of its own' ;; esac

# group FOLDER FILE=VALUE...: a control group with these limits.
group() {
	local folder=$1/assay-test.$$ limit
	shift
	mkdir "$folder" 2>/dev/null || skip 'cannot make a control group here'
	GROUPS_MADE+=("$folder")
	for limit; do
		echo "${limit#*=}" 2>/dev/null >"$folder/${limit%%=*}" || skip "control groups have no $limit here"
	done
}

# Its exit status stays what it is.
finish() {
	local status=$? folder pid tries=0
	set +e
	for folder in "${GROUPS_MADE[@]}"; do
		until rmdir "$folder" 2>/dev/null || [ $((++tries)) -gt 200 ]; do
			while read -r pid; do kill -KILL "$pid"; done <"$folder/cgroup.procs" 2>/dev/null
			sleep 0.05
		done
	done
	(exit $status)
	_cleanup
}
trap finish EXIT

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	group /sys/fs/cgroup memory.max=64M memory.swap.max=0 'cpu.max=20000 100000'
elif [ -e /sys/fs/cgroup/memory/tasks ] && [ -e /sys/fs/cgroup/cpu/tasks ]; then
	group /sys/fs/cgroup/memory memory.limit_in_bytes=64M
	group /sys/fs/cgroup/cpu cpu.cfs_period_us=100000 cpu.cfs_quota_us=20000
else
	skip 'there are no control groups here'
fi

scratch_mount mnt 256M
MNT=$SCRATCH/mnt
mkdir "$MNT/files"
python3 - "$MNT/files" $FILES <<-'EOT'
	import sys
	for i in range(int(sys.argv[2])):
	    with open(f'{sys.argv[1]}/{i}', 'w') as f:
	        f.write(f'file {i}\n' * 200)
EOT
{
	echo '#!/bin/sh'
	printf 'echo $$ >%s/cgroup.procs\n' "${GROUPS_MADE[@]}"
	echo "exec $ASSAYD \"\$@\""
} >"$SCRATCH/limited"
chmod +x "$SCRATCH/limited"
ASSAYD=$SCRATCH/limited
members() {
	cat "${GROUPS_MADE[0]}/cgroup.procs"
}

# pages_alone: KiB of all of them as if nobody else had any of it: each page of theirs once, whoever else maps it.
pages_alone() {
	members | python3 -c 'if True:
		import struct, sys
		page, present = 4096, 1 << 63
		pages = set()
		for pid in sys.stdin.read().split():
		    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb") as pagemap:
		        for line in maps:
		            if "[v" in line:
		                continue
		            first, end = (int(x, 16) // page for x in line.split()[0].split("-"))
		            while first < end:
		                n = min(end - first, 1 << 20)
		                pagemap.seek(first * 8)
		                got = pagemap.read(n * 8)
		                pages.update(e & (1 << 55) - 1 for (e,) in struct.iter_unpack("<Q", got) if e & present)
		                first += n
		pages.discard(0)
		print(len(pages) * page // 1024)'
}

# run NAME KEY=VALUE...: measures all files, says how much memory that takes, and fails if it is too much.
run() {
	local name=$1 kib alone pid
	shift
	start_swtpm "swtpm-$name"
	SWTPM_PID=$PID LIST=$SCRATCH/list-$name
	start_assayd "view_dir=$SCRATCH/run" "$@"
	find "$SCRATCH/mnt/files" -type f -print0 | xargs -0 -n 100 -P 4 cat >/dev/null
	wait_for 60 has_all
	alone=$(pages_alone)
	kib=$(members | while read -r pid; do
		grep '^Pss:' "/proc/$pid/smaps_rollup"
	done | awk '{ kib += $2; n++ } END { print kib, "KiB in", n, "processes" }')
	echo "$name: $FILES files: PSS $kib, $alone KiB were they alone"
	[ "${kib%% *}" -gt 1000 ] || fail "assayd is not in the control group: $kib"
	[ "${kib%% *}" -le 16384 ] || fail "$name: PSS is $kib"
	[ "$alone" -le $ALONE_MAX ] || fail "$name: with nobody else's libraries it would be $alone KiB"
	[ "$(status list.gaps) $(status events.deadlines) $(status list.lost_events)" = '0 0 0' ] ||
		fail "gaps: $(status list), $(status events)"
	need_proved
	stop_assayd
}
has_all() {
	[ "$(status list.records)" -ge $FILES ]
}

run named
# Whatever is mounted, as assayd is installed, but that the policy is about one filesystem: this is not a machine to mark.
UUID=$(blkid -s UUID -o value "$SCRATCH/mnt.img")
echo "measure func=FILE_CHECK fsuuid=$UUID" >"$SCRATCH/policy"
MNT=''
for workers in 2 4 8; do run "all-$workers" "policy=$SCRATCH/policy" workers=$workers; done
