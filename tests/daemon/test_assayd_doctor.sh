#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assay doctor beside a running assayd, which has its TPM to itself; one that is not well; and a TPM that does not
# answer.
. "${TEST_LIB:?}"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/lib/doctor.sh"
daemon_test mount tpm

start_assayd
doctor 0 --config "$CONF" --control "$CONTROL"
has assayd ok '"running" in x["found"]'
has_not tpm-answer any # that TPM takes one at a time
has_not tpm-maker any
has_not assayd-tpm any
has tpm-device ok
has pcr ok 'f["pcr"] == 10 and f["initial"] is False and f["ours"]'
has pcr ok 'f["pcr"] == 12 and f["initial"] is True'
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
