# SPDX-License-Identifier: LGPL-2.1-or-later
# What the jobs in a virtual machine share; sourced first, in /run/job. assayd measures the whole machine
# there, with the kernel's own TPM.
# shellcheck shell=bash
set -eu
LIST=/var/lib/assay/list CONTROL=/run/assay/control CONF=/etc/assay/assayd.conf LOG=/run/assayd.log
IMA=/sys/kernel/security/ima
DAEMON=''

fail() {
	echo "FAILED ($(basename "$0") on $(uname -r)): $*"
	[ ! -s $LOG ] || tail -n 20 $LOG
	exit 1
}

# step WORDS: what the test has reached, and when.
step() {
	printf '%6.1f s  %s\n' "$(cut -d' ' -f1 /proc/uptime)" "$*"
}

# install_assay [KEY=VALUE]...: the programs, where the packaged unit looks for them, and a configuration.
install_assay() {
	local kv program
	cmp -s assay /usr/bin/assay || cp assay /usr/bin/assay
	cmp -s assayd /usr/sbin/assayd || cp assayd /usr/sbin/assayd
	mkdir -p /usr/libexec/assay
	for program in assayd-*; do
		cmp -s "$program" "/usr/libexec/assay/$program" || cp "$program" /usr/libexec/assay/
	done
	mkdir -p /etc/assay /var/lib/assay
	for kv; do echo "${kv%%=*} = ${kv#*=}"; done >$CONF
}

# wait_for SECONDS COMMAND...: until it succeeds; twenty times as long at most, as the machine that emulates this one
# may be slow or busy.
wait_for() {
	local end=$((SECONDS + 20 * $1))
	shift
	until "$@" 2>/dev/null; do
		[ $SECONDS -lt $end ] || fail "not in time: '$*'"
		sleep 0.05
	done
}

is_up() {
	kill -0 "$DAEMON" || fail "assayd ended"
	test -S $CONTROL
}

start_assayd() {
	rm -f $CONTROL
	/usr/sbin/assayd >>$LOG 2>&1 &
	DAEMON=$!
	wait_for 60 is_up
}

kill_assayd() {
	kill -KILL "$DAEMON"
	wait "$DAEMON" || true
}

stop_assayd() {
	kill -TERM "$DAEMON"
	wait "$DAEMON" || fail "assayd exits $? when it is asked to stop"
}

segments() {
	find $LIST -name 'segment-*' | sort
}

newest() {
	segments | tail -n 1
}

# need_segments N
need_segments() {
	[ "$(segments | wc -l)" = "$1" ] || fail "$(segments | wc -l) segments, not $1"
}

kernel_count() {
	cat $IMA/runtime_measurements_count
}

# records of the newest segment, as text.
records() {
	assay log show "$(newest)"
}

# state_records WORD: how many state records of the newest segment have it.
state_records() {
	local hex
	hex=$(printf %s "$1" | od -A n -v -t x1 | tr -d ' \n')
	records | awk -v hex="$hex" '$5 == "assay-state" && index($6, hex) { n++ } END { print n + 0 }'
}

# make_programs FOLDER N: N scripts with a content each.
make_programs() {
	local i
	mkdir -p "$1"
	for ((i = 0; i < $2; i++)); do
		printf '#!/bin/sh\nexit 0 # %s %d\n' "$1" $i >"$1/$i"
	done
	chmod +x "$1"/*
}

# run_programs FOLDER: each of them, once.
run_programs() {
	local p
	for p in "$1"/*; do "$p"; done
}

# need_verdict COMMAND...: it says that the list holds; the last entry that is proved is in $PROVED.
need_verdict() {
	"$@" >/run/verdict 2>&1 || fail "'$*' exits $?: $(cat /run/verdict)"
	PROVED=$(sed -n 's/^PCR 10: reached after entry \([0-9]*\).*/\1/p' /run/verdict)
	[ -n "$PROVED" ] || fail "nothing is proved: $(cat /run/verdict)"
}

# need_programs FOLDER: what was run from there is among the entries that are proved.
need_programs() {
	local p
	records | sed "$((PROVED + 2)),\$d" >/run/records
	for p in "$1"/*; do
		grep -q " $p\$" /run/records || fail "'$p' was run and is not proved; see: $(cat /run/verdict)"
	done
}

# need_proved FOLDER: the list leads to what the TPM holds. (Looking at it makes it longer.)
need_proved() {
	assay status --pcrs >/run/pcrs || fail "assayd gives no PCRs"
	need_verdict assay log verify --ignore-violations --pcrs /run/pcrs "$(newest)"
	need_programs "$1"
}

# need_quote FOLDER: the same by a quote over a nonce.
need_quote() {
	local nonce
	[ -e /run/ak.priv ] || assay tpm create-ak --tcti device:/dev/tpmrm0 /run/ak || fail "no key"
	nonce=$(od -A n -N 16 -t x1 /dev/urandom | tr -d ' \n')
	assay quote --ak /run/ak --nonce "$nonce" --out /run/quote || fail "no quote"
	need_verdict assay quote verify --ak /run/ak.pub --nonce "$nonce" --ignore-violations \
		--log "$(newest)" /run/quote
	need_programs "$1"
}

# insert_modules: those that came with the job.
insert_modules() {
	local folder module
	folder=/lib/modules/$(uname -r)
	mkdir -p "$folder"
	cp ./*.ko "$folder"
	depmod 2>/dev/null # it misses files that list what is built in
	for module in *.ko; do modprobe "${module%.ko}" || fail "cannot insert $module"; done
}
