#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hang tests of tests/daemon on this kernel, as they are: $1 names them, without "hang_", with commas. Only their
# patience is another, as all is slow here.
. ./lib.sh
mkdir -p /run/tests /tmp
tar -x -C /run/tests -f tests.tar
insert_modules
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd # as udev does
export SOURCE=/run/tests TEST_LIB=/run/tests/tests/lib.sh ASSAY=$PWD/assay ASSAYD=$PWD/assayd OPENER=$PWD/opener \
	BRIEF=$PWD/brief TPM_DELAY=$PWD/tpm_delay STATUS_OF=$PWD/status_of SLACK_MS=20000 TMPDIR=/tmp
chmod 755 /run /run/job
failed=0
for name in ${1//,/ }; do
	status=0
	/run/tests/tests/daemon/test_hang_"$name".sh >/run/test.log 2>&1 || status=$?
	step "$name: $status"
	[ $status = 0 ] && continue
	tail -n 15 /run/test.log
	failed=1
done
exit $failed
