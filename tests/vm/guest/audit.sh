#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The kernel's IMA and assayd have the same rules that audit: for the same program runs both write the same
# record, field by field; and the audit log takes assayd's.
. ./lib.sh

# The kernel prints what nobody reads.
echo 0 >/proc/sys/kernel/printk_ratelimit
mkdir -p /srv/p
chmod 755 /srv /srv/p
names=(plain 'blank name' 'quote"x' "apos'x" $'line\nfeed' $'\xff\xc3\xa4' 'back\slash' '(paren)')
for name in "${names[@]}"; do
	cp /bin/true "/srv/p/$name"
done
echo 'audit func=BPRM_CHECK' >/run/policy
install_assay anchor=none policy=/run/policy first_sight=exact kernel_list=none audit_journal=none
start_assayd
cat /run/policy >$IMA/policy
step 'both have the policy'
for name in "${names[@]}"; do
	"/srv/p/$name"
	"/srv/p/$name"
done
echo >>/srv/p/plain
/srv/p/plain
cp /bin/true /srv/p/other
setpriv --reuid 65534 --regid 65533 --clear-groups /srv/p/other
(exec -a another /srv/p/other)

# What the kernel says, of our programs; and what assayd says, up to where it says more.
dmesg | sed -n 's/^.*audit: type=1805 audit([^)]*): //p' | grep -E '^file=("/srv/p|2F7372762F702F)' >/run/kernel
assay audit | sed -n 's/^type=INTEGRITY_RULE msg=audit([^)]*): //p' | grep -E '^file=("/srv/p|2F7372762F702F)' >/run/ours.full
sed 's/ dev="[0-9:]*" ino=.*//' /run/ours.full >/run/ours
[ "$(wc -l </run/kernel)" = $((${#names[@]} + 2)) ] || fail "the kernel has $(wc -l </run/kernel) records"
diff /run/kernel /run/ours || fail "they differ"
step "$(wc -l </run/ours) records, the same as the kernel's"

# In the audit log, as messages of user space.
in_log() {
	[ "$(dmesg | grep -c "type=1121 .*msg='op=INTEGRITY_RULE file=[^ ]*7372762F702F\|type=1121 .*msg='op=INTEGRITY_RULE file=\"/srv/p/")" = $((${#names[@]} + 2)) ]
}
wait_for 20 in_log
[ "$(dmesg | grep -c 'type=1121 .*op=policy_update cause=completed')" = 1 ] || fail 'the policy is not in the audit log'
step 'the audit log has them'
stop_assayd
