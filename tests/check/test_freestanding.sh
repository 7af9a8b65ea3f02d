#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The engine's core, and what it stands on, compiles without a C library and needs nothing of one but
# memory and string functions. (That it runs in a small arena: tests/unit/test_core.c.)
# shellcheck source=tests/lib.sh
. "$TEST_LIB"
need cc ld nm

# What a trusted application's libc has.
allowed='memcpy|memmove|memset|memcmp|memchr|strlen|strcmp|strncmp|strchr'

# undefined FILE...: compiles and joins them; prints what is still missing, but for $allowed.
undefined() {
	local objects=() f
	for f; do
		cc -std=gnu17 -O2 -ffreestanding -nostdlib -fno-stack-protector -U_FORTIFY_SOURCE \
			-I"$SOURCE/src" -c "$f" -o "$SCRATCH/$(tr / _ <<<"$f").o"
		objects+=("$SCRATCH/$(tr / _ <<<"$f").o")
	done
	ld -r -o "$SCRATCH/core.o" "${objects[@]}"
	nm -u "$SCRATCH/core.o" | awk '{ print $NF }' | grep -v -x -E "$allowed" || true
}

sources=("$@")
[ $# -gt 0 ] || fail "no sources"
missing=$(undefined "${sources[@]}")
[ -z "$missing" ] || fail "the core needs: ${missing//$'\n'/ }"

# It can fail.
echo 'void *malloc(unsigned long); void *assay_bad(void); void *assay_bad(void) { return malloc(1); }' \
	>"$SCRATCH/bad.c"
[ "$(undefined "${sources[@]}" "$SCRATCH/bad.c")" = malloc ] || fail "malloc was not found"
echo "core: ${#sources[@]} files, nothing but: ${allowed//|/ }"
