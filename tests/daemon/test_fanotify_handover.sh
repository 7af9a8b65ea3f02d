#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What decision 0048 believes of the kernel holds on this one: tests/daemon/fanotify_handover.c.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test
scratch_kind tmpfs || skip 'cannot mount tmpfs here'
expect 0 timeout -s KILL 250 "$FANOTIFY_HANDOVER" "$SCRATCH/tmpfs"
echo "$OUT"
