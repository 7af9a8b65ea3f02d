#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hang tests of tests/daemon on this kernel, as they are: $1 names them, without "hang_", with commas. Only their
# patience is another, and they do less, as all is slow here. What cannot run is said as test.sh counts it.
. ./lib.sh
mkdir -p /run/tests /tmp
tar -x -C /run/tests -f tests.tar
insert_modules
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd # as udev does
chmod 666 /dev/fuse || echo 'no FUSE' # as udev does
# For hang_workers: of cgroup v1 nothing else is there.
mkdir /run/freezer
mount -t cgroup -o freezer freezer /run/freezer || echo 'no freezer'
export SOURCE=/run/tests TEST_LIB=/run/tests/tests/lib.sh ASSAY=$PWD/assay ASSAYD=$PWD/assayd OPENER=$PWD/opener \
	BRIEF=$PWD/brief TPM_DELAY=$PWD/tpm_delay STATUS_OF=$PWD/status_of VIEW_SERVE=$PWD/assayd-view \
	ASSAY_TEST_SLOW=8 PATIENCE=200 DAEMON_SECONDS=1200 ASK_SECONDS=400 TMPDIR=/tmp
chmod 755 /run /run/job
failed=0 passed=0
for name in ${1//,/ }; do
	status=0 began=$SECONDS
	/run/tests/tests/daemon/test_hang_"$name".sh >/run/test.log 2>&1 || status=$?
	case $status in
	0)
		step "$name: passed in $((SECONDS - began)) s"
		passed=$((passed + 1))
		;;
	77) echo "part skipped: hang_$name: $(tail -n 1 /run/test.log)" ;;
	*)
		step "$name: FAILED ($status) after $((SECONDS - began)) s"
		tail -n 15 /run/test.log
		failed=1
		;;
	esac
done
[ $((passed + failed)) -gt 0 ] || exit 77
exit $failed
