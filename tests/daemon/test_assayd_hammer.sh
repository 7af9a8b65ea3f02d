#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Files that are opened without a pause while they are changed: what is read after a change is in the
# list, on each filesystem. Without marks that outlive their ignore masks a third of it is not.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
need_root
need unshare mkfs.ext4 python3
in_mount_namespace "$@"

# unmeasured READ MEASURED: how many contents of READ ("PATH<tab>CONTENT") are not among MEASURED.
unmeasured() {
	python3 - "$1" "$2" <<-'EOF'
		import hashlib, sys
		measured = set(open(sys.argv[2], errors='replace').read().split('\n'))
		missed = 0
		for line in open(sys.argv[1]):
		    path, content = line.rstrip('\n').split('\t')
		    digest = hashlib.sha256(content.encode()).hexdigest()
		    missed += f'sha256:{digest} {path}' not in measured
		print(missed)
	EOF
}

echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"
scratch_mount ext4
mkdir "$SCRATCH/tmpfs"
mount -t tmpfs none "$SCRATCH/tmpfs" && _mounts+=("$SCRATCH/tmpfs")
for fs in tmpfs ext4; do
	MNT=$SCRATCH/$fs
	rm -rf "$LIST"
	start_assayd "policy=$SCRATCH/policy" first_sight=eager
	timeout -s KILL 60 "$HAMMER" "$MNT" "${HAMMER_CHANGES:-300}" >"$SCRATCH/read" || fail "hammer exits $?"
	entries | awk '$3 == "ima-ng" { print $4, $5 }' >"$SCRATCH/measured"
	n=$(unmeasured "$SCRATCH/read" "$SCRATCH/measured")
	[ "$(wc -l <"$SCRATCH/read")" = $((6 * ${HAMMER_CHANGES:-300})) ] || fail 'reads are missing'
	[ "$n" = 0 ] || fail "$fs: $n of $(wc -l <"$SCRATCH/read") contents that were read are not in the list"
	[ "$(status work.marks)" -gt 100 ] || fail "$fs: the kernel never answered by itself"
	stop_assayd
done
