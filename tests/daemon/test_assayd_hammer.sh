#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Files that are opened without a pause while they are changed, and while policies come: what is read
# after a change is in the list, on each filesystem. Without marks that outlive their ignore masks a
# third of it is not.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test

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

# reload_on FILE: SIGHUPs until FILE is there.
reload_on() {
	until [ -e "$1" ]; do
		kill -HUP "$DAEMON"
		sleep 0.01
	done
}

# hammer FOLDER CHANGES READERS: all that is read there must be in the list by then.
hammer() {
	local n
	timeout -s KILL 200 "$HAMMER" "$@" >"$SCRATCH/read" || fail "hammer exits $?"
	entries | awk '$3 == "ima-ng" { print $4, $5 }' >"$SCRATCH/measured"
	n=$(unmeasured "$SCRATCH/read" "$SCRATCH/measured")
	[ "$(wc -l <"$SCRATCH/read")" = $((6 * $2)) ] || fail 'reads are missing'
	[ "$n" = 0 ] || fail "$1: $n of $(wc -l <"$SCRATCH/read") contents that were read are not in the list"
}

echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"
changes=${HAMMER_CHANGES:-150}
read -r -a HAMMER_KINDS <<<"${HAMMER_ON:-tmpfs ext4}"
scratch_kinds
for fs in "${HAMMER_KINDS[@]}"; do
	[[ " ${KINDS[*]} " = *" $fs "* ]] || skip "cannot have $fs here"
done
for fs in "${HAMMER_KINDS[@]}"; do
	MNT=$SCRATCH/$fs
	rm -rf "$LIST"
	start_assayd "policy=$SCRATCH/policy" first_sight=eager
	hammer "$MNT" "$changes" 2
	[ "$(status work.marks)" -gt 100 ] || fail "$fs: the kernel never answered by itself"
	stop_assayd
done

# ---- while policies come -----------------------------------------------------------------------------
# Openers wait for a slow TPM, so that there are some whenever the marks are gone through.
swtpm_begin
delay_begin 4000
for fs in "${HAMMER_KINDS[@]}"; do
	MNT=$SCRATCH/$fs LIST=$SCRATCH/list-$fs
	start_assayd "policy=$SCRATCH/policy" first_sight=eager
	rm -f "$SCRATCH/enough"
	background reload_on "$SCRATCH/enough"
	RELOADER=$PID
	hammer "$MNT" $((changes / 3)) 6
	touch "$SCRATCH/enough"
	wait "$RELOADER"
	n=$(state_records 'event=policy;')
	[ "$n" -gt 3 ] || fail "$fs: only $n policies came meanwhile"
	stop_assayd
	echo "$fs: $n policies"
done
