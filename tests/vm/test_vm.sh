#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One job of guest/ in a virtual machine: test_vm.sh JOB SUITE [OPTION-OF-RUN]... JOB is NAME or NAME=WORD: the
# word is in its $1. The kernel is that of a Debian suite, the TPM is swtpm's, fresh.
. "$TEST_LIB"
here=$(dirname "$(readlink -f "$0")")
need qemu-system-x86_64 swtpm mke2fs dpkg-deb apt-get
need_root
[ "$(uname -m)" = x86_64 ] || skip "needs an x86-64 machine"
export VM_STORE=${VM_STORE:-$SOURCE/build-vm} ASSAYD
name=${1%%=*} suite=$2
printf '#!/bin/bash\nexec ./%s.sh %s\n' "$name" "$([[ $1 != *=* ]] || echo "${1#*=}")" >"$SCRATCH/start"
chmod +x "$SCRATCH/start"
shift 2
mkdir -p "$VM_STORE"
exec {lock}>"$VM_STORE/lock" && flock $lock
kernel=$("$here/fetch" kernel "$suite") || skip "the kernel of $suite cannot be fetched"
"$here/fetch" root >/dev/null || skip "the root filesystem cannot be made"
exec {lock}>&-
status=0
"$here/run" --seconds 280 "$@" "$kernel" "$SCRATCH/start" "$here"/guest/*.sh "$ASSAY" "$ASSAYD" || status=$?
[ $status = 0 ] || fail "$name on the kernel of $suite: $status"
