#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Audit records in the journal as journald keeps it, found by their fields. A journald of its own: /run is the test's.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
JOURNALD=/lib/systemd/systemd-journald
[ -x $JOURNALD ] || skip 'there is no systemd-journald'
need journalctl setpriv
daemon_test mount

# The kernel's own auditing stays as it is, and the machine's journal too.
mount -t tmpfs none /run || skip 'cannot mount over /run here'
_mounts+=(/run)
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
printf '[Journal]\nStorage=volatile\nAudit=\n' >/run/systemd/journald.conf.d/test.conf
background $JOURNALD
JOURNALD_PID=$PID
has_ended() {
	! kill -0 "$JOURNALD_PID"
}
has_begun() {
	[ -n "$(find /run/log/journal -name system.journal)" ] || has_ended
}
wait_for 20 has_begun
if has_ended 2>/dev/null; then
	# As systemd 257 does.
	! grep -q -E '^[^ ]+ [^ ]+ cgroup2? ' /proc/mounts || fail "journald ends"
	skip 'journald ends where no cgroups are mounted'
fi

echo 'audit func=BPRM_CHECK' >"$SCRATCH/policy"
chmod 755 "$SCRATCH" "$MNT"
odd=$MNT/line$'\n'feed
cp /bin/true "$MNT/true"
cp /bin/true "$odd"
start_assayd "policy=$SCRATCH/policy" audit_journal=/run/systemd/journal/socket
setpriv --reuid 65534 --regid 65534 --clear-groups "$MNT/true"
"$odd"
in_journal() {
	[ "$(journalctl -D /run/log/journal -q -o cat -t assayd "$@" | wc -l)" -ge 1 ]
}
wait_for 20 in_journal "ASSAY_FILE=$MNT/true" ASSAY_UID=65534 ASSAY_FUNC=BPRM_CHECK ASSAY_COMM=setpriv
wait_for 20 in_journal "ASSAY_FILE=$odd" MESSAGE_ID=8c2b7bd0a1f94f0e9be1f6a3c0d55a01
stop_assayd
