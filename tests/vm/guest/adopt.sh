#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The kernel has extended its boot_aggregate before us: the list begins with it, and goes on through a
# kill, a restart and an orderly end.
. ./lib.sh

install_assay policy=tcb
first=$(kernel_count)
step "the kernel has $first records"
start_assayd
step "assayd is up: $(tail -n 1 $LOG)"
make_programs /srv/a 20
run_programs /srv/a
need_proved /srv/a
need_quote /srv/a
step "20 programs ran: list and quote hold"
kill_assayd
make_programs /srv/b 20
start_assayd
run_programs /srv/b
need_proved /srv/b
need_quote /srv/b
step "killed and restarted: list and quote hold"
stop_assayd
need_segments 1
need_verdict assay log verify --tpm --complete --ignore-violations "$(newest)"
cp "$(newest)" $LOG "$RESULTS"
step "done: $(records | wc -l) records, $(kernel_count) of the kernel's"
