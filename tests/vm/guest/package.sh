#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The Debian packages on a machine with systemd, three boots. $1: "systemd-install", installed and upgraded;
# "systemd-off", with assay=off; "systemd-purge", without a TPM and with assay=log, removed and purged.
. ./lib.sh

unit() {
	systemctl show -P "$1" assayd
}

pid_of() {
	unit MainPID
}

# need_unit STATE: active or inactive, and not failed.
need_unit() {
	[ "$(unit ActiveState) $(unit Result)" = "$1 success" ] ||
		fail "the unit is $(unit ActiveState), $(unit Result): $(systemctl status --no-pager assayd)"
}

dpkg_log() {
	dpkg "$@" >/run/dpkg.log 2>&1 || fail "dpkg $*: $(cat /run/dpkg.log)"
}

# need_rooted BOOLEAN: so assayd says of its anchor.
need_rooted() {
	# 1: something is to be looked at, which this does not ask.
	assay status --json >/run/status || [ $? = 1 ] || fail "assayd does not answer"
	grep -q "\"hardware_rooted\": *$1" /run/status || fail "hardware_rooted is not $1: $(cat /run/status)"
}

# Its children see mounts and processes as everybody does.
need_no_namespace() {
	local pid ns
	for pid in $(cat "/sys/fs/cgroup$(unit ControlGroup)/cgroup.procs"); do
		for ns in mnt pid user; do
			[ "$(readlink "/proc/$pid/ns/$ns")" = "$(readlink /proc/1/ns/$ns)" ] ||
				fail "process $pid of the unit is in a $ns namespace of its own"
		done
	done
}

# What assayd gives: nobody is denied, and what runs is measured and proved.
need_measuring() {
	make_programs "$1" 4
	run_programs "$1"
	need_proved "$1"
}

# What all its processes have, where nobody else has the same libraries mapped; the bound is checked where there
# is time for 7,000 files (tests/package/test_small.sh).
say_size() {
	local pid kib
	kib=$(for pid in $(cat "/sys/fs/cgroup$(unit ControlGroup)/cgroup.procs"); do
		grep '^Pss:' "/proc/$pid/smaps_rollup"
	done | awk '{ kib += $2 } END { print kib }')
	step "$(wc -l <"/sys/fs/cgroup$(unit ControlGroup)/cgroup.procs") processes have $kib KiB (PSS)"
}

first_boot() {
	local pid
	step "systemd is up: $(systemctl is-system-running || true)"
	dpkg_log -i assay_*.deb assayd_*.deb
	need_unit active
	systemctl -q is-enabled assayd || fail 'it is not enabled'
	getent passwd _assay >/dev/null || fail 'there is no user _assay'
	[ "$(stat -c %a:%U /var/lib/assay /run/assay | xargs)" = '700:root 755:root' ] ||
		fail "folders: $(stat -c %n:%a:%U /var/lib/assay /run/assay)"
	need_rooted true
	need_no_namespace
	need_measuring /srv/a
	[ "$(state_records 'event=anchor;kind=tpm2;why=found')" -ge 1 ] || fail 'the choice of the anchor is not in the list'
	step "installed: it runs, and what runs is proved"
	say_size
	pid=$(pid_of)
	dpkg_log -i next-*.deb
	[ "$(pid_of)" != "$pid" ] || fail 'an upgrade leaves the old daemon'
	need_unit active
	systemctl reload assayd
	need_measuring /srv/b
	[ "$(state_records 'last=crashed')" = 0 ] || fail 'an upgrade looks like a crash'
	[ "$(state_records 'event=takeover;')" = 1 ] || fail 'an upgrade is no hand-over'
	step "upgraded to $(dpkg-query -W -f '${Version}' assayd): what runs is proved"
	cp $LIST/* /run/dpkg.log "$RESULTS"
}

off_boot() {
	need_unit inactive
	systemctl -q is-enabled assayd || fail 'it is not enabled any more'
	make_programs /srv/off 3
	run_programs /srv/off
	records >/run/records
	! grep -q ' /srv/off' /run/records || fail 'it has measured though it is off'
	[ "$(state_records 'event=cmdline;value=off;obeyed=1')" = 1 ] || fail 'the list does not say that it was off'
	[ "$(state_records 'event=stop;why=cmdline')" = 1 ] || fail 'the list does not say why it ended'
	assay log verify --tpm --complete --ignore-violations $LIST >/run/verdict 2>&1 ||
		fail "the list with assay=off does not hold: $(cat /run/verdict)"
	step "assay=off: $(systemctl status --no-pager assayd | sed -n 's/^ *Status: //p'), and the list says so and holds"
}

# need_nothing: of the package, but for its user.
need_nothing() {
	local left
	left=$(find /etc /run /usr /var -xdev -iname '*assay*' ! -path '/run/job/*' ! -path '/run/udev/*' 2>/dev/null)
	[ -z "$left" ] || fail "purged, and there is still: $left"
	! grep -q assay /proc/self/mountinfo || fail "mounts: $(grep assay /proc/self/mountinfo)"
	! grep -q -s fanotify /proc/[0-9]*/fdinfo/* || fail "marks: $(grep -l -s fanotify /proc/[0-9]*/fdinfo/*)"
	! systemctl cat assayd >/dev/null 2>&1 || fail 'there is still a unit'
}

last_boot() {
	need_unit active
	need_rooted false
	make_programs /srv/soft 3
	run_programs /srv/soft
	records >/run/records
	grep -q ' /srv/soft/0$' /run/records || fail 'without a TPM nothing is measured'
	[ "$(state_records 'event=anchor;kind=soft;why=none')" -ge 1 ] || fail 'the list does not say that there is no TPM'
	[ "$(state_records 'event=cmdline;value=log;obeyed=1')" -ge 1 ] || fail 'the list does not have assay=log'
	step "without a TPM: a soft anchor, and the list says so"
	dpkg_log -r assayd
	systemctl -q is-active assayd && fail 'removed, and it runs'
	[ -n "$(segments)" ] && [ -e $CONF ] || fail 'remove has taken the list or the configuration'
	mkdir -p /run/assay/ima
	mount -t tmpfs left /run/assay/ima # as a view that nobody unmounted
	dpkg_log -P assayd assay
	need_nothing
	step "removed, then purged: nothing is left"
}

case $1 in
systemd-install) first_boot ;;
systemd-off) off_boot ;;
systemd-purge) last_boot ;;
esac
