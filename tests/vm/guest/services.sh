#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whom assayd may wait for, as Debian has them and systemd starts them: journald, auditd, and between assayd and the
# machine's TPM D-Bus and tpm2-abrmd. "/" is watched. Each is exempt, and so is the one that comes after a restart; while
# the TPM does not answer they open what they like, and that is measured afterwards. There is no TEE here, so
# tee-supplicant's unit has another program: that shows how it is found, and nothing of itself.
. ./lib.sh
declare -A units=([journald]=systemd-journald [auditd]=auditd [dbus]=dbus [tpm2-abrmd]=tpm2-abrmd
	[tee-supplicant]=tee-supplicant)

main_pid() {
	systemctl show -P MainPID "$1"
}

# The packages are unpacked, as the root's were; what their scripts would do and is needed here is done by hand.
install_services() {
	local deb user
	for deb in *.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C /; done
	ldconfig
	for user in tss messagebus; do useradd --system --user-group --no-create-home "$user" 2>/dev/null; done
	chown tss /dev/tpm0
	[ -L /var/run ] || { rm -rf /var/run && ln -s /run /var/run; }
	mkdir -p /var/log/journal # on "/": in /run it is a tmpfs
	printf '[Service]\nExecStart=/bin/sleep infinity\n' >/etc/systemd/system/tee-supplicant.service
	sed 's#@sbindir@#/usr/sbin#' assayd.service* >/etc/systemd/system/assayd.service
	systemctl daemon-reload
	journalctl --flush
	systemctl start dbus auditd tpm2-abrmd tee-supplicant || fail "a service does not start: $(systemctl --failed --no-pager)"
}

is_exempt() {
	# 1: something is to be looked at, which this does not ask.
	timeout 60 assay status --json >/run/status || [ $? = 1 ] || return 1
	tr -d ' \n' </run/status | grep -q "{\"name\":\"$1\",\"pid\":$2}"
}

# need_exempt NAME: its process of now, which runs what the list says.
need_exempt() {
	local pid
	pid=$(main_pid "${units[$1]}")
	[ "$pid" != 0 ] || fail "$1 does not run: $(systemctl status --no-pager "${units[$1]}")"
	wait_for 60 is_exempt "$1" "$pid"
	wait_for 60 is_recorded "$1" "$pid" "$(readlink "/proc/$pid/exe")"
}
is_recorded() {
	[ "$(state_records "event=exempt;kind=$1;pid=$2;path=$3;")" -ge 1 ]
}

# restart NAME
restart() {
	local old
	old=$(main_pid "${units[$1]}")
	timeout 120 systemctl restart "${units[$1]}" || fail "cannot restart $1"
	need_exempt "$1"
	! is_exempt "$1" "$old" || fail "$1 of before is exempt"
	step "$1: process $old, then $(main_pid "${units[$1]}")"
}

# ---- what is done while the TPM does not answer: by programs that have run before, and no new content is read but by services ----

# measured PATH: it is in the list with its content of now.
measured() {
	local digest
	digest=$(sha256sum "$1")
	records | grep -q "sha256:${digest%% *} $1\$"
}

archived() {
	set -- /var/log/journal/*/system@*.journal
	[ -e "$1" ] && echo $# || echo 0
}
rotate_journal() {
	local before
	before=$(archived)
	systemctl kill --kill-who=main -s USR2 systemd-journald
	wait_for 60 more_archived "$before"
}
more_archived() {
	[ "$(archived)" -gt "$1" ]
}

# auditd reads its configuration, then begins a log.
rotate_audit() {
	echo "# $1" >>/etc/audit/auditd.conf
	systemctl kill --kill-who=main -s HUP auditd
	rm -f /var/log/audit/audit.log.1
	systemctl kill --kill-who=main -s USR1 auditd
	wait_for 60 test -s /var/log/audit/audit.log.1
}

reload_dbus() {
	echo "<!-- $1 -->" >>/etc/dbus-1/system.d/later.conf
	timeout 60 dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ReloadConfig \
		>/dev/null || fail 'D-Bus does not answer'
}

go_on() {
	rotate_journal
	rotate_audit "$1"
	reload_dbus "$1"
	echo "$1" | systemd-cat -t go_on
	step "$1: the journal and the audit log were rotated, D-Bus was reloaded"
}
in_journal() {
	journalctl -q -t go_on -o cat | grep -q -x "$1"
}

step "systemd is up: $(systemctl is-system-running || true)"
install_services
step 'the services run'
printf 'dont_measure fsmagic=%s\n' 0x9fa0 0x62656572 0x73636673 0x01021994 0x63677270 0x1cd1 >/run/policy
printf 'measure func=%s\n' 'FILE_CHECK mask=^MAY_READ' BPRM_CHECK 'MMAP_CHECK mask=MAY_EXEC' >>/run/policy
echo '<busconfig/>' >/etc/dbus-1/system.d/later.conf
install_assay policy=/run/policy anchor=tpm2 tcti=tabrmd deadline_ms=300000
systemctl start assayd || fail "assayd does not start: $(journalctl -q --no-pager -u assayd | tail -n 20)"
for name in "${!units[@]}"; do need_exempt "$name"; done
step "exempt: $(tr -d ' \n' </run/status | grep -o '"exempt":\[[^]]*\]')"
go_on before
restart journald
restart auditd
restart tpm2-abrmd
restart tee-supplicant

abrmd=$(main_pid tpm2-abrmd)
echo other >/srv/other
kill -STOP "$abrmd"
cat /srv/other >/run/other &
waiter=$!
go_on stopped
[ ! -s /run/other ] || fail 'nobody waits for the TPM: this shows nothing'
kill -CONT "$abrmd"
wait $waiter || fail 'an open was refused'
step 'the TPM did not answer: the services went on, and others waited'
wait_for 60 in_journal stopped
for file in /etc/audit/auditd.conf /etc/dbus-1/system.d/later.conf /srv/other; do wait_for 60 measured "$file"; done
for file in /var/log/journal/*/system.journal /var/log/audit/audit.log; do
	records | grep -q " $file\$" || fail "'$file' is not in the list"
done
step 'what they opened is in the list'
