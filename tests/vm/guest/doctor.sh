#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What assay doctor says of a stock kernel with a TPM: right, and without changing a PCR. With a word, the
# kernel has a policy.
. ./lib.sh

# says PATTERN: a line of it.
says() {
	grep -q -E -- "$1" /run/doctor || fail "'$1' is not in: $(cat /run/doctor)"
}

# examine STATUS
examine() {
	local got=0
	assay doctor >/run/doctor 2>&1 || got=$?
	[ $got = "$1" ] || fail "the doctor exits $got: $(cat /run/doctor)"
}

pcrs() {
	cat /sys/class/tpm/tpm0/pcr-sha256/*
}

install_assay policy=tcb
pcrs >/run/before
examine 0
says "^  ok +version: Linux $(uname -r | sed 's/[.+]/\\&/g')\$"
says '^  ok +BPF LSM: active, types of the kernel \(BTF\) there'
says '^  (ok|note) +lockdown: (none|integrity)'
says '^  ok +fanotify permission events: there'
says '^  ok +fanotify ignore marks: there, and evictable'
says '^  ok +kernel IMA: in this kernel'
says '^  ok +device: tpm0, with a resource manager'
says '^  ok +version: 2.0'
says '^  ok +maker: IBM'
says '^  ok +PCR banks: .*sha256.* \(by the TPM\)'
says '^  ok +/: ext4, .*the policy matches there; security attributes yes, fs-verity no'
if [ $# = 0 ]; then
	pcrs >/run/after
	cmp /run/before /run/after || fail "a PCR was changed"
	says '^  ok +kernel IMA list: 1 records \(ima-(ng|sig), sha256\), 0 violations'
	says '^  ok +kernel IMA policy: none'
	says '^  note +PCR 10: IMA .*; extended; kernel IMA: 1 records; ours'
else
	says '^  note +kernel IMA policy: given at boot'
	says '^  note +PCR 10: IMA .*; extended; kernel IMA: [0-9]{2,} records; ours'
fi
step "before assayd: $(tail -n 1 /run/doctor)"
start_assayd
examine 0
says '^  ok +assayd: running'
stop_assayd
echo "pcr = 12" >>$CONF
assay doctor >/run/doctor || true
says '^  warn +PCR 12: systemd .*; not extended; ours'
sed -i 's/12/7/' $CONF
examine 1
says '^  bad +PCR 7: firmware'
step "done"
