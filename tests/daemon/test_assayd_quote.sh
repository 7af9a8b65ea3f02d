#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A quote from the daemon that owns the TPM, verified with its list by somebody who has only the
# public key; over a session, and from the software anchor.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
need setpriv
daemon_test mount tpm

NONCE=0011223344556677
for i in 1 2 3 4 5 6; do
	echo "#!/bin/sh" >"$MNT/tool-$i"
	echo "exit 0 # $i" >>"$MNT/tool-$i"
	chmod +x "$MNT/tool-$i"
done

# quote_and_verify KEY [ARG]...: exit status 0, the list is proved; then a bent list is not.
quote_and_verify() {
	local key=$1
	shift
	expect 0 "$ASSAY" quote --nonce $NONCE --out "$SCRATCH/q" --control "$CONTROL" --json "$@"
	expect_text "$OUT" '"asked":"assayd","hardware":(true|false),"nonce":"'$NONCE'"'
	expect 0 "$ASSAY" quote verify --ak "$key" --nonce $NONCE --log "$(newest)" \
		--ignore-violations ${KIND-} "$SCRATCH/q"
	expect_text "$OUT" "^the quote holds"
	expect_text "$OUT" "^PCR 10: reached after entry"
	sed 's#/mnt/tool-3#/mnt/toil-3#' "$(newest)" >"$SCRATCH/bent"
	cmp -s "$(newest)" "$SCRATCH/bent" && fail "tool-3 is not in the list"
	expect 1 "$ASSAY" quote verify --ak "$key" --nonce $NONCE ${KIND-} --log "$SCRATCH/bent" \
		"$SCRATCH/q"
	expect_text "$OUT$ERR" "entry [0-9]+: .*toil-3"
}

run_tools() {
	local i
	for i in "$@"; do "$MNT/tool-$i"; done
}

expect 0 "$ASSAY" tpm create-ak --tcti "$TCTI" "$SCRATCH/ak"
for session in none hmac; do
	rm -rf "$LIST"
	start_assayd policy=tcb "tpm_session=$session"
	run_tools 1 2 3
	quote_and_verify "$SCRATCH/ak.pub" --ak "$SCRATCH/ak"
	# What comes after the quote is counted as not proved by it.
	run_tools 4 5
	expect 0 "$ASSAY" quote verify --ak "$SCRATCH/ak.pem" --nonce $NONCE --log "$(newest)" \
		--ignore-violations "$SCRATCH/q"
	expect_text "$OUT" '^PCR 10: reached after entry .*, behind that, are not proved'
	stop_assayd
	swtpm_reset
done

# While a dozen openers have it extend all the time: what is quoted stands still meanwhile.
cp "$STEADY" "$SCRATCH/steady"
chmod 711 "$SCRATCH"
chmod 755 "$SCRATCH/steady" "$MNT"
delay_begin 20000
for mode in each group; do
	rm -rf "$LIST" "$SCRATCH/stop"
	mkdir -m 777 "$MNT/$mode"
	start_assayd policy=tcb tpm_session=hmac "anchor_mode=$mode"
	background setpriv --reuid=65534 --regid=65534 --clear-groups "$SCRATCH/steady" "$MNT/$mode" "$SCRATCH/stop" 12 >"$SCRATCH/load"
	load=$PID
	wait_for 20 test -e "$MNT/$mode/3-5"
	run_tools 1 2 3
	quote_and_verify "$SCRATCH/ak.pub" --ak "$SCRATCH/ak"
	touch "$SCRATCH/stop"
	wait "$load" || fail 'who opens gave up'
	stop_assayd
done

# A TPM with another endorsement key is not talked to.
test -s "$LIST/endorsement-key" || fail 'the endorsement key is not pinned'
start_swtpm other
sed -i "s#^tcti = .*#tcti = $TCTI#; /^exempt_pid/d" "$CONF"
expect 2 timeout -s KILL $PATIENCE "$ASSAYD" --config "$CONF"
expect_text "$ERR" "endorsement key"

unset TCTI
rm -rf "$LIST"
start_assayd policy=tcb anchor=soft "soft_anchor_dir=$SCRATCH/soft"
run_tools 1 2 3 6
KIND=--software quote_and_verify "$SCRATCH/soft/soft-anchor.pem"
expect 1 "$ASSAY" quote verify --ak "$SCRATCH/soft/soft-anchor.pem" --nonce $NONCE "$SCRATCH/q"
expect_text "$OUT" "form +BAD: a software anchor"
expect 0 "$ASSAY" quote verify --ak "$SCRATCH/soft/soft-anchor.pem" --software --nonce $NONCE "$SCRATCH/q"
expect_text "$OUT" "software anchor, not rooted in hardware"
stop_assayd
