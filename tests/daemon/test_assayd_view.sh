#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assayd's own view: what is measured is in it, evmctl replays what it shows, policies that are written into it come
# into force and are recorded, it is not marked, and it goes and comes back with its processes.
# shellcheck source=tests/lib.sh
. "$TEST_LIB"
# shellcheck source=tests/daemon/lib.sh
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm
[ "${VIEW_SERVE:-none}" != none ] || skip "it is built without the view"
{ : <>/dev/fuse; } 2>/dev/null || skip "this kernel has no FUSE"
VIEW=$SCRATCH/run/ima
_mounts+=("$VIEW")

is_mounted() {
	grep -q " $VIEW fuse.assay " /proc/mounts
}

not_mounted() {
	! is_mounted
}

is_served() {
	is_mounted && cat "$VIEW/violations" >/dev/null
}

has_name() {
	grep -q " $1\$" "$VIEW/ascii_runtime_measurements"
}

echo 'measure func=FILE_CHECK mask=MAY_READ' >"$SCRATCH/policy"
echo 'measure func=BPRM_CHECK mask=MAY_EXEC' >"$SCRATCH/other"
echo one >"$MNT/one"
echo two >"$MNT/two"
cp /bin/true "$MNT/prog"
start_assayd "policy=$SCRATCH/policy" "view_dir=$SCRATCH/run"
wait_for 20 is_served
cat "$MNT/one" >/dev/null
has_name "$MNT/one" || fail "a file that was read is not in the view"
[ "$(cat "$VIEW/runtime_measurements_count")" = "$(status list.records)" ] || fail "count"
[ "$(cat "$VIEW/policy")" = 'measure func=FILE_CHECK mask=MAY_READ ' ] || fail "policy: $(cat "$VIEW/policy")"
"$ASSAY" log export --format anchored "$LIST/segment-00000001" 2>/dev/null | cmp - "$VIEW/anchored_binary_runtime_measurements" ||
	fail "anchored form"
if command -v evmctl >/dev/null; then
	"$ASSAY" status --control "$CONTROL" --pcrs >"$SCRATCH/pcrs"
	evmctl_pcrs "$SCRATCH/pcrs"
	expect 0 evmctl ima_measurement --ignore-violations --pcrs "sha1,$SCRATCH/evmctl.sha1" \
		--pcrs "sha256,$SCRATCH/evmctl.sha256" "$VIEW/anchored_binary_runtime_measurements"
	expect_text "$OUT$ERR" 'Matched per TPM bank'
fi
echo "view: what is measured, as evmctl replays it"

# ---- policies -------------------------------------------------------------------------------------------
in_force() {
	[ "$(cat "$VIEW/policy")" = "$1" ]
}
cat "$SCRATCH/other" >"$VIEW/policy" || fail "a policy is refused"
wait_for 10 in_force 'measure func=BPRM_CHECK mask=MAY_EXEC '
cat "$MNT/two" >/dev/null
"$MNT/prog"
has_name "$MNT/prog" || fail "the written policy is not in force"
! has_name "$MNT/two" || fail "the old policy is in force"
echo "$SCRATCH/policy" >"$VIEW/policy" || fail "a path is refused"
wait_for 10 in_force 'measure func=FILE_CHECK mask=MAY_READ '
cat "$MNT/two" >/dev/null
has_name "$MNT/two" || fail "the policy of the path is not in force"
mkdir "$VIEW-beside"
cp "$SCRATCH/policy" "$VIEW-beside/policy"
echo "$VIEW-beside/policy" >"$VIEW/policy" || fail "a path that begins like the view's is refused"
printf 'measure func=FILE_CHECK template=evm-sig\n' >"$SCRATCH/cannot" # more than can be written
printf 'measure\nmeasure func=NOPE\n' >"$SCRATCH/wrong"
for file in cannot wrong; do
	expect 1 bash -c "cat $SCRATCH/$file >$VIEW/policy"
	expect 1 bash -c "echo $SCRATCH/$file >$VIEW/policy"
done
expect 1 bash -c "echo $SCRATCH/nowhere >$VIEW/policy"
expect_text "$ERR" 'No such file'
mkfifo "$SCRATCH/fifo"
expect 1 bash -c "echo $SCRATCH/fifo >$VIEW/policy"
expect 1 bash -c "echo $VIEW/policy >$VIEW/policy"
in_force 'measure func=FILE_CHECK mask=MAY_READ ' || fail "a refused policy is in force"
expect 0 "$ASSAY" log show --json "$LIST"
# count_event TEXT: of state records, whose buffer is shown in hexadecimal.
count_event() {
	grep -c "$(printf %s "$1" | xxd -p | tr -d '\n')" <<<"$OUT" || true
}
[ "$(count_event 'event=policy;')" = 4 ] || fail "$(count_event 'event=policy;') policies are recorded, not 4"
[ "$(count_event 'event=policy_refused;')" -ge 3 ] || fail "refused policies are not recorded"
[ "$(count_event "point=$VIEW;")" = 0 ] || fail "the view counts as not covered"
kill -HUP "$DAEMON"
wait_for 10 in_force 'measure func=FILE_CHECK mask=MAY_READ '
echo "policies: by rules, by path, refused"

# ---- its processes ----------------------------------------------------------------------------------------
first=$(child_pid view)
kill -KILL "$first"
wait_for 10 not_mounted
is_another() { is_served && [ "$(child_pid view)" != "$first" ]; }
wait_for 20 is_another
has_name "$MNT/two" || fail "the second view shows something else"
in_force 'measure func=FILE_CHECK mask=MAY_READ ' || fail "the second view's policy"
cat "$MNT/prog" >/dev/null
has_name "$MNT/prog" || fail "the second view does not go on"
stop_assayd
not_mounted || fail "it is mounted after the daemon ended"
start_assayd "policy=$SCRATCH/policy" "view_dir=$SCRATCH/run"
wait_for 20 is_served
kill -KILL "$DAEMON"
wait "$DAEMON" 2>/dev/null || true
wait_for 10 not_mounted
echo "processes: replaced, and gone with the daemon"
