#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Boots of one machine. $1: "cut", the power goes while assayd works; "on", it comes back, and the chain of
# segments goes on; "systemd", the packaged unit starts it.
. ./lib.sh

first_boot() {
	install_assay policy=tcb
	start_assayd
	make_programs /srv/a 10
	run_programs /srv/a
	need_proved /srv/a
	need_segments 1
	step "the power goes now"
	echo cut >"$RESULTS/end"
}

next_boot() {
	start_assayd
	make_programs /srv/b 10
	run_programs /srv/b
	need_proved /srv/b
	need_quote /srv/b
	need_segments 2
	[ "$(state_records 'last=crashed')" = 1 ] || fail "the new segment does not say that the old one crashed"
	assay log verify --ignore-violations --pcrs /run/pcrs $LIST >/run/verdict 2>&1 ||
		fail "the chain does not hold: $(cat /run/verdict)"
	step "after a power cut: a second segment, and the chain of both holds"
	stop_assayd
	sed 's#@sbindir@#/usr/sbin#' assayd.service* >/etc/systemd/system/assayd.service
	mkdir -p /etc/systemd/system/sysinit.target.wants
	ln -sf ../assayd.service /etc/systemd/system/sysinit.target.wants/
}

main_pid() {
	systemctl show -P MainPID assayd
}

restarted() {
	[ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ] && systemctl -q is-active assayd
}

systemd_boot() {
	local pid
	step "systemd is up: $(systemctl is-system-running || true)"
	wait_for 60 systemctl -q is-active assayd
	systemd-analyze verify --man=no assayd.service || fail "systemd-analyze verify"
	systemd-analyze security --no-pager assayd.service | tail -n 1
	make_programs /srv/c 10
	run_programs /srv/c
	need_proved /srv/c
	need_quote /srv/c
	need_segments 3
	[ "$(state_records 'kind=unit')" -ge 1 ] || fail "the unit is not in the list"
	step "the unit has started it before sysinit.target; list and quote hold"
	pid=$(main_pid)
	kill -KILL "$pid"
	wait_for 60 restarted "$pid"
	make_programs /srv/d 10
	run_programs /srv/d
	need_proved /srv/d
	step "killed, and systemd has started it again"
	systemctl stop assayd
	[ "$(systemctl show -P Result assayd)" = success ] || fail "a stop is $(systemctl show -P Result assayd)"
	[ "$(state_records 'event=stop')" = 1 ] || fail "the stop is not in the list"
	need_segments 3
	assay log verify --tpm --complete --ignore-violations $LIST >/run/verdict 2>&1 ||
		fail "the chain does not hold: $(cat /run/verdict)"
	step "stopped in order: the chain of all three holds"
}

case $1 in
cut) first_boot ;;
on) next_boot ;;
systemd) systemd_boot ;;
esac
