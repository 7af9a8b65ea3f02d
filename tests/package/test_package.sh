#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The Debian packages build from this tree, hold what they should and nothing else, measure as installed and
# deny nothing, and their scripts remove what they should and no more.
. "$TEST_LIB"
need dpkg-buildpackage dh dpkg-deb meson

"$SOURCE/packaging/build-deb" --tree --nocheck "$SCRATCH/debs" >"$SCRATCH/log" 2>&1 ||
	fail "build-deb: $(tail -n 20 "$SCRATCH/log")"
cd "$SCRATCH"
version=$(dpkg-parsechangelog -l "$SOURCE/packaging/debian/changelog" -S Version)
grep -q "version: '$version'" "$SOURCE/meson.build" || fail "meson.build has another version than $version"
for name in assay assayd; do
	echo debs/${name}_"${version}"_*.deb
	dpkg-deb -x debs/${name}_"${version}"_*.deb $name
	dpkg-deb -e debs/${name}_"${version}"_*.deb $name/DEBIAN
done

# What the build needs is said twice.
while read -r section name; do
	[[ $section != build || $name != *-dev || $name = libc6-dev ]] ||
		grep -q -E "^ $name\b" "$SOURCE/packaging/debian/control" || fail "Build-Depends has no $name"
done <"$SOURCE/tools/packages"

# need_files PACKAGE PATH...
need_files() {
	local package=$1 path
	shift
	for path; do [ -s "$package/$path" ] || fail "$package has no $path"; done
}
need_files assay usr/bin/assay usr/share/man/man1/assay.1.gz usr/share/man/man5/assay-policy.5.gz \
	usr/share/doc/assay/{copyright,changelog.gz,SECURITY.md.gz,examples/policies/server.policy}
need_files assayd usr/sbin/assayd usr/libexec/assay/assayd-{spawner,worker,anchor,control,view,scout,fetch} etc/assay/assayd.conf usr/lib/sysusers.d/assayd.conf \
	usr/share/man/man8/assayd.8.gz usr/share/man/man5/assayd.conf.5.gz
unit=$(find assayd -name assayd.service)
[ "$(wc -w <<<"$unit")" = 1 ] || fail "units: $unit"
# Every page of the tree is in one of them.
for page in "$SOURCE"/man/*.[158]; do
	[ "$(find assay assayd -name "${page##*/}.gz" | wc -l)" = 1 ] || fail "${page##*/} is in no package, or in both"
done
[ -z "$(find assay assayd -perm /7022 ! -type l)" ] || fail "modes: $(find assay assayd -perm /7022 ! -type l)"
[ "$(cat assayd/DEBIAN/conffiles)" = /etc/assay/assayd.conf ] || fail 'the configuration is no conffile'

# As installed.
expect 0 assayd/usr/sbin/assayd --check-config --config assayd/etc/assay/assayd.conf
[ -z "$ERR" ] || fail "the configuration has messages: $ERR"
expect_text "$OUT" '^policy = tcb$'
expect_text "$OUT" '^deadline_answer = allow$'
expect_text "$OUT" '^anchor = auto$'
expect_text "$OUT" '^kernel_cmdline = obey$'
printf '%s\n' "$OUT" >keys
while read -r key _; do
	grep -q -E "^#?$key = " assayd/etc/assay/assayd.conf "$SOURCE/examples/assayd.conf" ||
		fail "the configuration does not mention $key"
done < <(cut -d' ' -f1 keys)
if command -v systemd-analyze >/dev/null; then
	mkdir -p assayd/lib/systemd
	sed "s#=/usr/sbin#=$SCRATCH/assayd/usr/sbin#" "$unit" >assayd.service
	expect 0 systemd-analyze verify --man=no ./assayd.service
	[ -z "$OUT$ERR" ] || fail "the unit: $OUT$ERR"
fi

# Remove keeps what is an administrator's, purge takes it.
mkdir -p root/{run,var/lib}/assay/list root/etc/systemd/system
for action in remove purge; do
	DPKG_ROOT=$SCRATCH/root DPKG_MAINTSCRIPT_PACKAGE=assayd expect 0 sh assayd/DEBIAN/postrm $action
	[ $action = purge ] || [ -d root/var/lib/assay/list ] || fail 'remove takes the list'
done
[ -z "$(find root/run/assay root/var/lib/assay 2>/dev/null)" ] || fail 'purge leaves state'

if command -v lintian >/dev/null; then
	expect 0 lintian --allow-root --no-cfg --fail-on error,warning debs/*.changes
	[ -z "$OUT" ] || fail "lintian: $OUT"
else
	echo 'without lintian'
fi
