#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An overlay whose layer is watched, too: on kernels that ask about the layer's file while the overlay's event is
# read, nobody waits for himself. Whatever the kernel does, the content is measured, by one name or both.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test tpm

mkdir "$SCRATCH"/{lower,upper,both}
mount -t ramfs none "$SCRATCH/lower" || skip 'cannot mount ramfs here'
_mounts+=("$SCRATCH/lower")
mount -t tmpfs none "$SCRATCH/upper"
_mounts+=("$SCRATCH/upper")
mkdir "$SCRATCH/upper/"{upper,work} "$SCRATCH/lower/dir"
cp /bin/true "$SCRATCH/lower/dir/prog"
echo below >"$SCRATCH/lower/dir/file"
mount -t overlay none "$SCRATCH/both" \
	-o "lowerdir=$SCRATCH/lower,upperdir=$SCRATCH/upper/upper,workdir=$SCRATCH/upper/work" || skip 'no overlay here'
_mounts+=("$SCRATCH/both")
for magic in 0x858458f6 0x794c7630; do # ramfs and overlay, wherever they are
	printf '%s\n' "measure func=FILE_CHECK mask=MAY_READ fsmagic=$magic" "measure func=BPRM_CHECK fsmagic=$magic"
done >"$SCRATCH/policy"
MNT=''
start_assayd "policy=$SCRATCH/policy"
for ((i = 0; i < 3; i++)); do
	timeout -s KILL $PATIENCE cat "$SCRATCH/both/dir/file" >/dev/null || fail 'who opens a file of the overlay waits for good'
	timeout -s KILL $PATIENCE "$SCRATCH/both/dir/prog" || fail 'who runs a program of the overlay waits for good'
done
for ((i = 0; i < 50; i++)); do echo "$i" >"$SCRATCH/lower/dir/$i"; done
xargs -P 8 -n 5 timeout -s KILL $PATIENCE cat < <(printf '%s\n' "$SCRATCH"/both/dir/[0-9]*) >/dev/null ||
	fail 'openers of many files of the overlay wait for good'
entries >"$SCRATCH/entries"
digest=$(echo below | sha256sum)
grep -q "sha256:${digest%% *} .*/dir/file\$" "$SCRATCH/entries" || fail 'a file of the overlay is not measured'
digest=$(sha256sum </bin/true)
grep -q "sha256:${digest%% *} .*/dir/prog\$" "$SCRATCH/entries" || fail 'a program of the overlay is not measured'
for ((i = 0; i < 50; i++)); do
	digest=$(echo "$i" | sha256sum)
	grep -q "sha256:${digest%% *} .*/dir/$i\$" "$SCRATCH/entries" || fail "file $i of the overlay is not measured"
done
if grep -q 'measured in its layers' "$LOG"; then
	echo 'this kernel asks the reader: the overlay itself is not watched'
	wait_for 60 records_are 'event=uncovered;type=overlay;' -ge 1 'that is not in the list'
else
	echo 'this kernel does not ask the reader: the overlay is watched'
	need_measured "$SCRATCH/both/dir/prog" 1
fi
need_proved
stop_assayd
