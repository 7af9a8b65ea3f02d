#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assay doctor beside a running assayd, which has its TPM to itself; one that is not well; and a TPM that does not
# answer.
. "${TEST_LIB:?}"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/lib/doctor.sh"
daemon_test mount tpm
scratch_kind tmpfs || skip 'cannot mount a tmpfs here'

# What the doctor tries on a tmpfs that is watched is neither measured nor a violation.
printf 'measure func=%s\n' 'FILE_CHECK mask=^MAY_READ uid=0' MMAP_CHECK BPRM_CHECK >"$SCRATCH/policy"
start_assayd mount="$SCRATCH/tmpfs" policy="$SCRATCH/policy"
echo seen >"$SCRATCH/tmpfs/seen"
cat "$SCRATCH/tmpfs/seen" >/dev/null
need_measured "$SCRATCH/tmpfs/seen" 1
doctor 0 --config "$CONF" --control "$CONTROL"
has filesystem any "x['subject'] == '$SCRATCH/tmpfs' and f['permission_events'] and f['ignore_marks'] and f['leases']"
entries >"$SCRATCH/entries"
[ "$(grep -c -F "$SCRATCH/tmpfs/" "$SCRATCH/entries")" = 1 ] || fail "traces: $(grep -F "$SCRATCH/tmpfs/" "$SCRATCH/entries")"
stop_assayd
rm -r "$LIST"

CONTROL=$SCRATCH/folder/control
start_assayd
log_says "folder '$SCRATCH/folder' is made, for a socket"
doctor 0 --config "$CONF" --control "$CONTROL"
has assayd ok '"running" in x["found"]'
has_not tpm-answer any # that TPM takes one at a time
has_not tpm-maker any
has_not assayd-tpm any
has tpm-device ok
has pcr ok 'f["pcr"] == 10 and f["initial"] is False and f["ours"]'
has pcr ok 'f["pcr"] == 12 and f["initial"] is True'
doctor 0 --config "$CONF" --control "$CONTROL" --tcti "$TCTI" # it hears nobody but assayd
has tpm-answer unseen '"--tcti" in x["do"]'
has pcr ok 'f["pcr"] == 10 and f["initial"] is False and f["ours"]'
expect 0 "$ASSAY" status --control "$CONTROL"

kill -KILL "$SWTPM_PID"
cp /bin/true "$MNT/program"
"$MNT/program" &
opener=$!
tpm_is_lost() {
	"$ASSAY" status --control "$CONTROL" >/dev/null
	[ $? = 1 ]
}
wait_for 60 tpm_is_lost
doctor 1 --config "$CONF" --control "$CONTROL"
has assayd-tpm bad
kill -KILL "$DAEMON" "$GUARD"
wait "$opener" || true

# One that listens and does not answer.
start_swtpm stalled
kill -STOP "$PID"
start=$SECONDS
doctor 1 --config "$CONF" --tcti "$TCTI"
has tpm-answer bad
has assayd warn
[ $((SECONDS - start)) -lt $((2 * PATIENCE)) ] || fail "it took $((SECONDS - start)) s"

# What only the start can see is told by key and value; and no folders are made above the last one.
refused() { # OPTION...
	expect 2 timeout -s KILL $PATIENCE "$ASSAYD" --config "$CONF" --anchor none --list "$SCRATCH/refused" "$@"
}
refused --exempt-pid 4194304
expect_text "$ERR" "exempt_pid: cannot exempt process 4194304: No such process"
refused --exempt-pid $$ --control "$SCRATCH/no/such/control"
expect_text "$ERR" "cannot listen at '$SCRATCH/no/such/control': No such file or directory"
[ ! -e "$SCRATCH/no" ] || fail 'folders were made'
