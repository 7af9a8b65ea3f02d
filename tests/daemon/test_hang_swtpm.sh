#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What assayd waits for opens files of the very filesystem that it watches: the TPM in software has its state,
# its program and its libraries there. It is exempt, so that nobody waits for himself.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need swtpm swtpm_ioctl tpm2_pcrread
hang_test mount

mkdir "$MNT/bin" "$MNT/lib"
cp "$(command -v swtpm)" "$(readlink -f "$(command -v tpm2_pcrread)")" "$MNT/bin/"
ldd "$MNT/bin/swtpm" | awk '/tpm.*=> \// { print $3 }' | xargs -I {} cp {} "$MNT/lib/"
export LD_LIBRARY_PATH=$MNT/lib
PATH=$MNT/bin:$PATH swtpm_begin mnt/state
unset LD_LIBRARY_PATH
[ "$(readlink "/proc/$SWTPM_PID/exe")" = "$MNT/bin/swtpm" ] || fail 'the TPM does not run from there'
make_files "$MNT/files" 400 >"$SCRATCH/files"
start_hang "deadline_ms=$FAR_DEADLINE_MS" first_sight=eager

# It writes its state, which is an open, while everybody waits for its extends.
store() {
	local n=0
	while [ ! -e "$SCRATCH/enough" ]; do
		timeout $PATIENCE swtpm_ioctl --unix "$MNT/state/sock.ctrl" -v || return 1
		n=$((n + 1))
		echo $n >"$SCRATCH/stored"
	done
}
background store 2>"$SCRATCH/store.log"
storer=$PID
asks read 8 "$SCRATCH/told" <"$SCRATCH/files"
touch "$SCRATCH/enough"
wait "$storer" || fail "the TPM did not store its state: $(cat "$SCRATCH/store.log")"
[ "$(cat "$SCRATCH/stored")" -gt 0 ] || fail 'it was never asked to'
echo "its state was stored $(cat "$SCRATCH/stored") times, $(status events.exempt) opens were exempt"
[ "$(status events.exempt)" -ge "$(cat "$SCRATCH/stored")" ] || fail 'the TPM opened nothing there'
need_quick "$SCRATCH/told" $SLACK_MS
need_allowed "$SCRATCH/told"
[ "$(status events.deadlines)" = 0 ] || fail 'somebody waited for himself'
# A program for the TPM, run from there by anybody.
as_user timeout $PATIENCE "$MNT/bin/tpm2" pcrread --version >/dev/null || fail 'a tool cannot be run'
[ "$(status events.deadlines)" = 0 ] || fail 'the tool waited for itself'
hang_end "$SCRATCH/told"
