#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Jobs of guest/ in a virtual machine: test_vm.sh JOB[+JOB]... SUITE [OPTION-OF-RUN]... A job is NAME or
# NAME=WORD[@MORE]..., the word is in its $1; each is a boot of the same machine, of words that begin with
# "systemd" by systemd, with MORE on the kernel's command line; MORE may be --no-tpm. The kernel is that of a
# Debian suite, the TPM is swtpm's.
. "$TEST_LIB"
here=$(dirname "$(readlink -f "$0")")
need qemu-system-x86_64 swtpm mke2fs dpkg-deb apt-get
need_root
[ "$(uname -m)" = x86_64 ] || skip "needs an x86-64 machine"
export VM_STORE=${VM_STORE:-$SOURCE/build-vm} ASSAYD
[[ $1 != demo* ]] || in_namespaces "$@"
jobs=$1 suite=$2 debs=()
mapfile -t programs < <(find "$(dirname "$ASSAYD")" -maxdepth 1 -type f -name 'assayd-*')
shift 2

# The packages of this tree, and the same as the next version.
make_packages() {
	local deb dir
	"$SOURCE/packaging/build-deb" --tree --nocheck "$SCRATCH/debs" >"$SCRATCH/build-deb.log" 2>&1 ||
		fail "build-deb: $(tail -n 20 "$SCRATCH/build-deb.log")"
	rm -f "$SCRATCH"/debs/*-dbgsym_*
	for deb in "$SCRATCH"/debs/*.deb; do
		dir=$SCRATCH/next/$(basename "$deb" .deb)
		mkdir -p "$dir"
		dpkg-deb -R "$deb" "$dir"
		sed -i -E 's/^(Version: .*)/\1+next/; s/(assay \(= [^)]*)\)/\1+next)/' "$dir/DEBIAN/control"
		dpkg-deb --root-owner-group -b "$dir" "$SCRATCH/debs/next-$(basename "$deb")" >/dev/null
	done
	debs=("$SCRATCH"/debs/*.deb)
}
if [[ $jobs = package* ]]; then
	need dpkg-buildpackage dh
	make_packages
fi

# make_demo_disk: the machine's disk for demo.sh has what that wants to be installed, and this tree, built: all of it here,
# in a chroot, as a guest is slow. ninja finds nothing to do there.
make_demo_disk() {
	local disk=$SCRATCH/machine/disk.img root=$SCRATCH/root
	mkdir -p "$root" "${disk%/*}"
	cp --sparse=always "$("$here/fetch" root)" "$disk"
	mount -o loop "$disk" "$root" || skip 'cannot mount a loop device here'
	_mounts+=("$root")
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs run "$root/run"
	cp "${debs[@]}" "$root/run/"
	mkdir -p "$root/src/assay"
	tar -c -C "$SOURCE" --exclude './build*' --exclude ./.git . | tar -x -C "$root/src/assay"
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive bash -ec 'dpkg --force-unsafe-io -i /run/*.deb
		cd /src/assay
		[ -z "$(tools/install-packages --missing build demo | tee /dev/stderr)" ]
		meson setup --buildtype=release -Dtests=disabled build-demo
		ninja -C build-demo assay assayd bench/bench_files' </dev/null >"$SCRATCH/chroot" 2>&1 ||
		fail "the disk for demo.sh: $(tail -n 20 "$SCRATCH/chroot")"
	umount -R "$root" # all of it is on the disk
	debs=()
}

# The tests of tests/daemon, and what they start.
tests=()
if [[ $jobs = hang* || $jobs = reads* ]]; then
	tar -c -f "$SCRATCH/tests.tar" -C "$SOURCE" tests/lib.sh tests/lib tests/daemon
	tests=("$SCRATCH/tests.tar" "$OPENER" "$BRIEF" "$TPM_DELAY" "$STATUS_OF")
fi

mkdir -p "$VM_STORE"
exec {lock}>"$VM_STORE/lock" && flock "$lock"
kernel=$("$here/fetch" kernel "$suite") || skip "the kernel of $suite cannot be fetched"
"$here/fetch" root >/dev/null || skip "the root filesystem cannot be made"
names=()
case $jobs in
services*) names=(auditd dbus tpm2-abrmd libtss2-tcti-tabrmd0) ;;
demo*) mapfile -t names < <(sed -nE 's/^(build|demo) ([^|]*).*/\2/p' "$SOURCE/tools/packages" | sort -u && echo apt) ;;
esac
if [ ${#names[@]} -gt 0 ]; then
	folder=$("$here/fetch" debs "${names[@]}") || skip 'the packages cannot be fetched'
	debs=("$folder"/*.deb)
fi
exec {lock}>&-
[[ $jobs != demo* ]] || make_demo_disk
while [ -n "$jobs" ]; do
	job=${jobs%%+*} options=() word='' status=0
	jobs=${jobs#"$job"} jobs=${jobs#+}
	[[ $job != *=* ]] || word=${job#*=}
	[[ $word != systemd* ]] || options=(--systemd)
	while [[ $word = *@* ]]; do
		if [[ ${word##*@} = --* ]]; then options+=("${word##*@}"); else options+=(--append "${word##*@}"); fi
		word=${word%@*}
	done
	printf '#!/bin/bash\nexec ./%s.sh %s\n' "${job%%=*}" "$word" >"$SCRATCH/start"
	chmod +x "$SCRATCH/start"
	"$here/run" --state "$SCRATCH/machine" --seconds 900 "${options[@]}" "$@" "$kernel" "$SCRATCH/start" \
		"$here"/guest/*.sh "$SOURCE"/packaging/assayd.service* "$kernel/vmlinuz" "$kernel"/*.ko "$ASSAY" "$ASSAYD" \
		"${programs[@]}" "${debs[@]}" "${tests[@]}" || status=$?
	[ $status = 0 ] || fail "$job on the kernel of $suite: $status"
done
