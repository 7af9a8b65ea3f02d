#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Prints a table of ratios, ours beside others on the same files in the same run: medians of several
# rounds. As root, on scratch mounts of a mount namespace of its own. Not a test: nothing fails here.
set -u
here=$(dirname "$(readlink -f "$0")")

usage() {
	cat <<EOF
usage: sudo bench/run.sh [--rounds N] [--build FOLDER] [--quick] [--markdown FILE] [SECTION]...

  --rounds N      rounds of each figure (5)
  --build FOLDER  a release build (build-bench, made if it is not there)
  --quick         no list of 1,000,000 files, and fewer files elsewhere
  --markdown FILE
                  append the table to FILE too

Sections: $all; all of them if none is named.
They take about an hour, most of it "sizes"; the others minutes each.
EOF
}

refuse() {
	echo "bench/run.sh: $1, see --help" >&2
	exit 2
}

all="open cold openers digest group policy verify sizes scripts reads execs known"
rounds=5 build=$here/../build-bench quick=no markdown=
while [ $# -gt 0 ]; do
	case $1 in
	--rounds | --build | --markdown) [ $# -gt 1 ] || refuse "$1 needs an argument" ;;&
	--rounds) rounds=$2 && shift ;;
	--build) build=$2 && shift ;;
	--quick) quick=yes ;;
	--markdown) markdown=$(readlink -f "$2") && shift ;;
	-h | --help) usage && exit 0 ;;
	-*) refuse "unknown option '$1'" ;;
	*) break ;;
	esac
	shift
done
[[ $rounds =~ ^[1-9][0-9]*$ ]] || refuse "'$rounds' is no number of rounds"
sections=("$@")
[ $# -gt 0 ] || read -ra sections <<<"$all"
for section in "${sections[@]}"; do
	[[ " $all " = *" $section "* ]] || refuse "unknown section '$section'"
done
[ "$(id -u)" = 0 ] || { echo "bench/run.sh needs root: it mounts, and starts daemons" >&2 && exit 2; }

if [ "${ASSAY_BENCH_NAMESPACE:-}" != 1 ]; then
	[ -f "$build/build.ninja" ] || meson setup --buildtype=release "$build" "$here/.." >/dev/null || exit 2
	ninja --quiet -C "$build" assay assayd tests/tools/tpm_delay benches || exit 2
	options=(--rounds "$rounds" --build "$(readlink -f "$build")")
	[ $quick = no ] || options+=(--quick)
	[ -z "$markdown" ] || options+=(--markdown "$markdown")
	ASSAY_BENCH_NAMESPACE=1 exec unshare -m --propagation private "$here/run.sh" "${options[@]}" \
		"${sections[@]}"
fi

# shellcheck source=bench/lib.sh
. "$here/lib.sh"
# shellcheck source=bench/daemon.sh
. "$here/daemon.sh"
# shellcheck source=bench/list.sh
. "$here/list.sh"
# shellcheck source=bench/stress.sh
. "$here/stress.sh"
export LC_ALL=C
scratch=$(mktemp -d /var/tmp/assay-bench.XXXXXX) || exit 2
chmod 755 "$scratch"
mnt=$scratch/mnt
mkdir "$mnt" "$scratch/samples"

finish() {
	trap - EXIT
	local pid
	unguard
	# shellcheck disable=SC2154 # daemon.sh has it
	for pid in "${!running[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	drop_mount
	umount /etc/fapolicyd /var/lib/fapolicyd /run/fapolicyd 2>/dev/null
	rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

echo "$(date -u +%Y-%m-%d), $(uname -sr), $(nproc) CPUs: $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
echo "medians of $rounds rounds"
table_head
for section in "${sections[@]}"; do
	forget
	"bench_$section"
done
[ -z "$markdown" ] || { table_markdown && stress_markdown; } >>"$markdown"
