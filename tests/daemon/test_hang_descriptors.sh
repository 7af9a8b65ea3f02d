#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assayd may have few files open, and far more openers wait than that: those that it has no room for wait in the
# kernel. A full table of files would have refused them.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
need prlimit
hang_test mount tpm
openers=2000
[ $SLOW = 1 ] || openers=800

printf '#!/bin/sh\nexec prlimit --nofile=256:256 -- "%s" "$@"\n' "$ASSAYD" >"$SCRATCH/few"
chmod 755 "$SCRATCH/few"
many=$ASSAYD ASSAYD=$SCRATCH/few
delay_begin 10000
make_files "$MNT/files" $openers >"$SCRATCH/files"
make_files "$MNT/after" 100 >"$SCRATCH/after"
start_hang "deadline_ms=$FAR_DEADLINE_MS" tpm_timeout_ms=80000
[ "$(readlink "/proc/$DAEMON/exe")" = "$many" ] || fail 'that is not assayd'
asks read $openers "$SCRATCH/told" <"$SCRATCH/files"
need_quick "$SCRATCH/told" "$FAR_DEADLINE_MS"
need_allowed "$SCRATCH/told"
[ "$(status events.refused)" = 0 ] || fail "$(status events.refused) opens were refused"
[ "$(status events.overflows)" = 0 ] || fail 'the queue overflowed'
# Where no extend ends for two seconds, some are let go, and counted: hang_table.
[ $SLOW -gt 1 ] || need_no_deadline
asks read 8 "$SCRATCH/after-told" <"$SCRATCH/after"
need_allowed "$SCRATCH/after-told"
hang_end "$SCRATCH"/{told,after-told}
