#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The kernel measures by a policy of its own while we do, both into PCR 10: its records are taken over
# between ours, under load, over a kill and while nobody of ours is there. $1: the mode of the anchor.
. ./lib.sh

install_assay policy=tcb "anchor_mode=${1:-group}"
step "the kernel has $(kernel_count) records"
start_assayd
step "assayd is up"
for f in a b c d; do make_programs /srv/$f 50; done
run_programs /srv/a &
run_programs /srv/b
wait $!
need_proved /srv/a
need_quote /srv/b
step "100 programs by two ran, the kernel has $(kernel_count) records: list and quote hold"
run_programs /srv/c &
sleep 1
kill_assayd
wait $!
step "killed, and more ran without us: the kernel has $(kernel_count) records"
start_assayd
run_programs /srv/d
need_proved /srv/d
need_quote /srv/d
step "restarted: list and quote hold"
stop_assayd
cp $LIST/* $LOG /run/verdict "$RESULTS"
cp $IMA/binary_runtime_measurements "$RESULTS/kernel"
need_segments 1
step "done: $(records | wc -l) records, $(kernel_count) of the kernel's, merged $(state_records event=kernel) times"
