#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SIGKILL at random points under load, over a real (software) TPM: each time list and PCRs agree, no
# entry that was acknowledged is lost, none is extended twice. Then what happens to machines: power
# off, hibernation, resume, somebody else's extend. $KILLS: how often it is killed (12).
# shellcheck source=tests/lib.sh
. "$TEST_LIB"
# shellcheck source=tests/lib/swtpm.sh
. "$(dirname "$TEST_LIB")/lib/swtpm.sh"
need swtpm tpm2_shutdown tpm2_pcrextend tpm2_pcrread evmctl

list=$SCRATCH/list acks=$SCRATCH/acks
kills=${KILLS:-12}
modes=(each group ordered)
round=0 before=0

lines() {
	wc -l <"$acks"
}

# more_than N: the driver has written lines since.
more_than() {
	[ "$(lines)" -gt "$1" ]
}

# drive: starts the driver, in the next mode and with files that are new; its pid is in $PID.
drive() {
	before=$(lines)
	background "$RECORDER_DRIVE" run "$list" "${modes[$((round % 3))]}" "$acks" \
		"$((round * 20000))" 2>>"$SCRATCH/log"
	round=$((round + 1))
	wait_for 20 more_than "$before"
}

# run: one that works for a moment and ends in order.
run() {
	drive
	wait_for 20 more_than "$((before + 20))"
	kill -TERM "$PID"
	wait "$PID" || fail "a run ends with $?"
}

# agree SEGMENTS
agree() {
	expect 0 "$RECORDER_DRIVE" check "$list" "$acks"
	expect_text "$OUT" "^$1 segments"
}

# others_verify: programs that share nothing with the recorder say the same of the last segment.
others_verify() {
	local segment=$list/segment-00000001 bank pcrs=()
	expect 0 "$ASSAY" log verify --tpm --tcti "$TCTI" --ignore-violations --complete "$segment"
	"$ASSAY" log export --format anchored "$segment" >"$SCRATCH/anchored"
	for bank in sha1 sha256; do
		tpm2_pcrread -T "$TCTI" "$bank:0,1,2,3,4,5,6,7,8,9,10,11" |
			sed -n 's/^ *\([0-9]*\) *: 0x\(.*\)/\1 \2/p' |
			while read -r i hex; do printf 'PCR-%02d: %s\n' "$i" "$hex"; done \
				>"$SCRATCH/pcrs.$bank"
		pcrs+=(--pcrs "$bank,$SCRATCH/pcrs.$bank")
	done
	expect 0 evmctl ima_measurement --ignore-violations "${pcrs[@]}" "$SCRATCH/anchored"
	expect_text "$OUT$ERR" 'Matched per TPM bank calculated digest'
}

# settle: what the last one left is extended now.
settle() {
	run
	agree 1
	echo "$1 kills, ${OUT//$'\n'/, }"
}

swtpm_begin
mkdir -m 700 "$list"
: >"$acks"
for ((i = 1; i <= kills; i++)); do
	drive
	sleep "0.0$((RANDOM % 80 + 10))"
	kill -KILL "$PID"
	wait "$PID" 2>/dev/null || true
	((i % 40 == 0)) || continue
	settle "$i"
	[ "$i" != 40 ] || others_verify
	# A new list over the same PCRs: they have a value that no list explains any more.
	rm "$list"/segment-*
	: >"$acks"
done
settle "$kills"
[ "$kills" -ge 40 ] || others_verify

tpm2_shutdown -T "$TCTI"
swtpm_reset state # a resume: the PCRs are as they were
run
agree 1
tpm2_shutdown -T "$TCTI"
swtpm_reset # a hibernation: PCR 10 is zero, resetCount stays
run
agree 2
segments=$(find "$list" -name 'segment-*' | wc -l)
swtpm_reset # the plug
run
agree $((segments + 1))
tpm2_pcrextend -T "$TCTI" 10:sha256="$(printf '%064d' 7)"
run
agree $((segments + 2))
# The last one is a kill again.
drive
kill -KILL "$PID"
wait "$PID" 2>/dev/null || true
run
agree "$(find "$list" -name 'segment-*' | wc -l)"
