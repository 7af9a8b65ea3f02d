#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Lists in which the kernel's records came between the recorder's own extends: they lead to the PCRs,
# and so does what is exported, for assay and for evmctl. Every third list; all with ASSAY_TEST_LONG=1.
. "$TEST_LIB"
need evmctl

mkdir "$SCRATCH/orders"
ORDER_DIR=$SCRATCH/orders expect 0 "$RECORDER_ORDER"
n=0 i=0
for segment in "$SCRATCH"/orders/*.segment; do
	i=$((i + 1))
	[ -n "${ASSAY_TEST_LONG:-}" ] || [ $((i % 3)) = 0 ] || continue
	pcrs=${segment%.segment}.pcrs
	expect 0 "$ASSAY" log verify -v -c --ignore-violations --pcrs "$pcrs" "$segment"
	"$ASSAY" log export -f anchored "$segment" >"$SCRATCH/anchored" 2>"$SCRATCH/note" ||
		fail "$segment: $(cat "$SCRATCH/note")"
	n=$((n + 1))
	case $segment in
	*-?1?.segment) # a kernel that pads: what it did is not told in the anchored form (list.md)
		grep '^sha1 ' "$pcrs" >"$SCRATCH/sha1"
		expect 0 "$ASSAY" log verify -v --ignore-violations --pcrs "$SCRATCH/sha1" "$SCRATCH/anchored"
		continue
		;;
	esac
	expect 0 "$ASSAY" log verify -v --ignore-violations --pcrs "$pcrs" "$SCRATCH/anchored"
	evmctl_pcrs "$pcrs"
	expect 0 evmctl ima_measurement --ignore-violations --pcrs "sha1,$SCRATCH/evmctl.sha1" \
		--pcrs "sha256,$SCRATCH/evmctl.sha256" "$SCRATCH/anchored"
	[[ "$OUT$ERR" == *"Matched per TPM bank"* ]] || fail "$segment: $OUT$ERR"
done
[ "$n" -ge 60 ] || fail "only $n lists"
