#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assayd when things go wrong: a second one, a policy that cannot be loaded, a TPM that stops, being
# killed. Nobody waits for ever, what went unmeasured is in the list, and the list stays provable.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm

some_deadline() {
	[ "$(status events.deadlines)" -gt 0 ]
}

# ---- a second daemon ----------------------------------------------------------------------------------
echo one >"$MNT/one"
start_assayd
expect 2 timeout -s KILL $PATIENCE "$ASSAYD" --config "$CONF"
expect_text "$ERR" "another assayd answers at"
expect 2 timeout -s KILL $PATIENCE "$ASSAYD" --config "$CONF" --control "$SCRATCH/control2" --anchor none
expect_text "$ERR" "process $(child_pid anchor) has the list open"
cat "$MNT/one" >/dev/null
need_measured "$MNT/one" 1
stop_assayd

# ---- policies --------------------------------------------------------------------------------------------
# Before the start, what cannot be loaded is refused with the place.
printf 'measure func=FILE_CHECK\nmeasure fun=X\n' >"$SCRATCH/policy"
expect 2 timeout -s KILL $PATIENCE "$ASSAYD" --config "$CONF" --policy "$SCRATCH/policy"
expect_text "$ERR" "$SCRATCH/policy:2:[0-9]+"
# While it runs, the old one stays in force.
echo 'measure func=BPRM_CHECK' >"$SCRATCH/policy"
start_assayd "policy=$SCRATCH/policy"
echo two >"$MNT/two"
cat "$MNT/two" >/dev/null
cp /bin/true "$MNT/prog"
"$MNT/prog"
need_measured "$MNT/prog" 1
echo 'measure fun=X' >"$SCRATCH/policy"
kill -HUP "$DAEMON"
wait_for 10 log_says 'the old policy stays in force'
cp /bin/false "$MNT/prog"
expect 1 "$MNT/prog"
need_measured "$MNT/prog" 2
need_measured "$MNT/two" 0
wait_for 60 records_are event=policy_refused = 1 'the refused policy is not in the list'
# A good one comes into force, and what the kernel answered by itself is looked at again.
echo 'measure func=FILE_CHECK mask=MAY_READ' >"$SCRATCH/policy"
kill -HUP "$DAEMON"
wait_for 10 log_says 'is in force'
cat "$MNT/two" >/dev/null
need_measured "$MNT/two" 1
need_proved
stop_assayd

# Built-in ones come in the kernel's order, and one that measures nothing here stops nobody.
for policy in 'critical_data|tcb' fail_securely secure_boot; do
	LIST=$SCRATCH/list-builtin-${policy%%|*}
	start_assayd "policy=$policy"
	digest=$("$ASSAY" policy show "$policy" | sha256sum)
	[ "$(status policy.sha256)" = "${digest%% *}" ] || fail "the policy in force is not '$policy'"
	[ "$policy" = 'critical_data|tcb' ] || log_says "policy '$policy' measures and audits nothing" ||
		fail 'it does not say that nothing is measured'
	timeout $PATIENCE cat "$MNT/two" >/dev/null || fail 'an open was held'
	stop_assayd
done

# ---- a TPM that stops --------------------------------------------------------------------------------------
LIST=$SCRATCH/list-stop
start_assayd deadline_ms=700 tpm_timeout_ms=1500
echo three >"$MNT/three"
kill -STOP "$SWTPM_PID"
SECONDS=0
cat "$MNT/three" >/dev/null
[ $SECONDS -lt $PATIENCE ] || fail 'an opener waited far beyond its deadline'
kill -CONT "$SWTPM_PID"
wait_for 20 some_deadline
wait_for 20 status_is anchor.tpm_lost false
echo four >"$MNT/four"
cat "$MNT/four" >/dev/null
need_measured "$MNT/four" 1
need_measured "$MNT/three" 1
wait_for 60 records_are "event=deadline;path=$MNT/three;" -ge 1 'the deadline is not in the list'
need_proved
# Asked to stop while openers wait for the TPM, it lets them go.
kill -STOP "$SWTPM_PID"
echo five >"$MNT/five"
background cat "$MNT/five" >/dev/null
opener=$PID
wait_for 10 status_is events.held 1
kill -TERM "$DAEMON"
SECONDS=0
wait "$opener" || fail 'the opener was refused'
[ $SECONDS -lt $PATIENCE ] || fail 'the opener waited'
kill -CONT "$SWTPM_PID"
wait "$DAEMON" || fail "assayd exits $?"

# ---- killed ---------------------------------------------------------------------------------------------------
LIST=$SCRATCH/list-kill
for round in 1 2 3; do
	start_assayd
	python3 - "$MNT" $round <<-'EOF' &
		import sys, threading
		def run(n):
		    for i in range(300):
		        path = '%s/load-%d' % (sys.argv[1], (n * 7 + i) % 40)
		        with open(path, 'w') as f:
		            f.write('%s %d %d' % (sys.argv[2], n, i))
		        open(path).read()
		threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
		for t in threads: t.start()
		for t in threads: t.join()
	EOF
	load=$!
	sleep "0.$((round * 2))"
	kill -KILL "$DAEMON"
	wait "$load" || fail 'an open was refused'
	timeout $PATIENCE cat "$MNT"/load-* >/dev/null || fail 'opens hang after the daemon was killed'
done
start_assayd
echo after >"$MNT/after"
cat "$MNT/after" >/dev/null
need_measured "$MNT/after" 1
[ "$(find "$LIST" -name 'segment-*' | wc -l)" = 1 ] || fail 'the list broke when the daemon was killed'
need_proved
stop_assayd

# ---- the software anchor ----------------------------------------------------------------------------------
# Says what it is, and its list replays to its PCRs.
LIST=$SCRATCH/list-soft
start_assayd anchor=soft "soft_anchor_dir=$SCRATCH/soft"
[ "$(status anchor.kind) $(status anchor.hardware_rooted)" = 'soft false' ] || fail 'it passes for hardware'
echo soft >"$MNT/soft"
cat "$MNT/soft" >/dev/null
need_measured "$MNT/soft" 1
need_proved
stop_assayd
