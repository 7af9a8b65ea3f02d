#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A kernel starts another one: the PCRs stay, the kernel's list begins anew, and ours goes on.
. ./lib.sh

if [ ! -e $CONF ]; then
	install_assay policy=tcb
	start_assayd
	make_programs /srv/a 10
	run_programs /srv/a
	need_proved /srv/a
	stop_assayd
	step "to the next kernel"
	kexec -s -l vmlinuz --reuse-cmdline || fail "kexec cannot load the kernel"
	sync
	kexec -e
fi
step "the next kernel has $(kernel_count) records"
start_assayd
make_programs /srv/b 10
run_programs /srv/b
need_proved /srv/a
need_proved /srv/b
need_quote /srv/b
need_segments 1
stop_assayd
need_verdict assay log verify --tpm --complete --ignore-violations "$(newest)"
step "list and quote hold over both kernels"
