#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# "assay log verify --tpm": a TPM that is extended step by step by tpm2-tools, whose PCRs then prove
# each prefix of the list.
. "$TEST_LIB"
need swtpm tpm2_pcrextend python3
start_swtpm
export TPM2TOOLS_TCTI=$TCTI

"$SOURCE/tests/cli/group_list.py" "$SCRATCH/flat" "$SCRATCH/anchored" "$SCRATCH/pcrs"
has() {
	[[ "$OUT$ERR" == *"$1"* ]] || fail "'$1' is not in '$OUT$ERR'"
}

expect 1 "$ASSAY" log verify -v --tpm --tcti "$TCTI" "$SCRATCH/flat"
has "PCR 10: NOT REACHED: still at its first value"

banks=$(tpm2_getcap pcrs | sed -n 's/.*- \(sha[0-9]*\): \[ 0,.*/\1/p')
[ -n "$banks" ] || fail "no banks"
mapfile -t flags < <(for b in $banks; do printf -- '-b\n%s\n' "$b"; done)
"$ASSAY" log export -f cel-json "${flags[@]}" "$SCRATCH/flat" 2>/dev/null | python3 -c '
import json, sys
for r in json.load(sys.stdin):
    print(str(r["pcr"]) + ":" + ",".join(d["hashAlg"] + "=" + d["digest"] for d in r["digests"]))
' >"$SCRATCH/steps"
[ "$(wc -l <"$SCRATCH/steps")" = 10 ] || fail "not 10 steps"

n=0
while read -r step; do
	tpm2_pcrextend "$step"
	n=$((n + 1))
	[ $n = 5 ] || continue
	# The TPM is where the second batch record brought it.
	expect 0 "$ASSAY" log verify -v --tpm --tcti "$TCTI" "$SCRATCH/flat"
	has "PCR 10: reached after entry 6; 307 of its 313 entries, behind that, are not proved"
	has "PCR 11: reached after entry 7; all of its 2 entries are proved"
	expect 1 "$ASSAY" log verify -v -c --tpm --tcti "$TCTI" "$SCRATCH/flat"
done <"$SCRATCH/steps"
expect 0 "$ASSAY" log verify -v -c --tpm --tcti "$TCTI" "$SCRATCH/flat"
expect 0 "$ASSAY" log verify -v --tpm --tcti "$TCTI" "$SCRATCH/anchored"
tpm2_pcrread >"$SCRATCH/pcrread"
expect 0 "$ASSAY" log verify -v -c --pcrs "$SCRATCH/pcrread" "$SCRATCH/flat"
expect 0 "$ASSAY" log verify -v -c --tpm --tcti "$TCTI" --pcrs "$SCRATCH/pcrread" "$SCRATCH/flat"
expect 2 "$ASSAY" log verify -v --tpm --tcti "$TCTI" -p "sha256:10:$(printf '5%.0s' {1..64})" "$SCRATCH/flat"
has "two values for PCR 10 of bank sha256"

# Something else extends: the list no longer explains the PCR.
tpm2_pcrextend "10:sha256=$(printf '5%.0s' {1..64})"
expect 1 "$ASSAY" log verify -v --tpm --tcti "$TCTI" "$SCRATCH/flat"
has "PCR 10: NOT REACHED"

expect 2 "$ASSAY" log verify --tpm --tcti "swtpm:path=$SCRATCH/absent" "$SCRATCH/flat"
