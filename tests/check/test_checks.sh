#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The checks of tools/ can fail: a small tree that they accept, then one planted fault at a time.
# shellcheck source=tests/lib.sh
. "$TEST_LIB"
need ctags cc nm ar

tree=$SCRATCH/tree
LICENCE='/* SPDX-License-Identifier: LGPL-2.1-or-later */'

# fresh: a tree with nothing wrong.
fresh() {
	rm -rf "$tree"
	mkdir -p "$tree"/src/{base,formats,engine/core,backends/a,backends/b,programs} "$tree"/{man,packaging}
	printf '%s\n#pragma once\nint assay_x(void);\n' "$LICENCE" >"$tree/src/base/x.h"
	printf '%s\n#include <string.h>\n#include "base/x.h"\nint assay_x(void)\n{\n\treturn 0;\n}\n' \
		"$LICENCE" >"$tree/src/engine/core/x.c"
	echo "# SPDX-License-Identifier: LGPL-2.1-or-later" >"$tree/man/meson.build"
}

declare -A accepted
# plant CHECK FILE LINE...: the lines, put at the end of FILE, are a fault that CHECK finds.
plant() {
	local check=$1 file=$2
	shift 2
	fresh
	if [ -z "${accepted[$check]:-}" ]; then
		expect 0 "$SOURCE/tools/check-$check" "$tree"
		accepted[$check]=yes # it is the same tree each time
	fi
	[ -e "$tree/$file" ] || [[ $file != *.[ch] ]] || echo "$LICENCE" >"$tree/$file"
	printf '%s\n' "$@" >>"$tree/$file"
	expect 1 "$SOURCE/tools/check-$check" "$tree"
	expect_text "$OUT$ERR" "${file##*/}"
}

plant floors src/base/y.c '#include "formats/x.h"'
plant floors src/engine/y.c '#include "programs/x.h"'
plant floors src/engine/y.c '#include <unistd.h>'
plant floors src/engine/core/y.c '#include <stdlib.h>'
plant floors src/engine/core/y.c '#include "base/file.h"'
plant floors src/formats/y.c '  #  include <sys/stat.h>'
plant floors src/backends/a/y.c '#include "backends/b/x.h"'
plant floors src/base/y.c '#include "x.h"'

repeat() {
	local i
	for ((i = 0; i < $1; i++)); do echo "$2"; done
}
undone=$(printf 'TO%s' DO)
plant style src/base/y.c "/* $undone: later */"
plant style src/base/y.c 'static void f(char *a)' '{' '	strcpy(a, "b");' '}'
plant style src/base/y.c "/* $(printf '/%s/someone/x' root) */"
plant style src/base/y.c "$(repeat 600 ';')"
plant style src/base/y.c 'static void f(void)' '{' "$(repeat 58 '	;')" '}'
plant style src/base/y.h 'int assay_y(void);'
plant style run.sh 'echo no licence'
fresh
printf '%s\nstatic void f(void)\n{\n%s\n}\n' "$LICENCE" "$(repeat 57 '	;')" >"$tree/src/base/y.c"
printf '/* strcpy(a) and "strcpy(" are words here */\n' >>"$tree/src/base/y.c"
expect 0 "$SOURCE/tools/check-style" "$tree"

plant docs src/programs/y.c '	recorder_state_locked(r, "sleeping", NULL);'
plant docs src/programs/y.c '	assay_state_add_u64(w, "dreams", 1);'
plant docs src/programs/y.c '	[LEDGER_DREAMS] = "dreams",'
plant docs src/formats/conf.h '	STRING(colour, "red", any) \'
plant docs src/formats/policy.h '	X(SLEEP, 0x0400, "sleep") \'

# command LINE...: a program whose one command is what the lines say, and its page.
command() {
	mkdir -p "$tree/src/programs/assay"
	printf '#!/bin/sh\n[ "$#" != 1 ] || { printf "usage: assay COMMAND\\n\\n  x   does it\\n"; exit 0; }\n' >"$tree/assay"
	printf '%s\n' "$@" >>"$tree/assay"
	chmod 755 "$tree/assay"
	printf '%s\n' '.Xr assay-x 1' >"$tree/man/assay.1"
	printf '%s\n' '.Sh NAME' '.Sh SYNOPSIS' '.Nm assay x' '.Sh DESCRIPTION' '.Sh OPTIONS' '.Sh EXIT STATUS' \
		'0 done, 2 not' '.Sh EXAMPLES' '.Sh SEE ALSO' >"$tree/man/assay-x.1"
	echo 'extern const struct command cmd_x;' >"$tree/src/programs/assay/commands.h"
	echo 'commands[] = { &cmd_x };' >"$tree/src/programs/assay/main.c"
}
help='[ "$2" != --help ] || { printf "usage: assay x [--json]\n\n  -j, --json   for a machine\n"; exit 0; }'
refuses="echo \"assay x: ; see 'assay x --help'\" >&2; exit 2"
# no_command TEXT: it is found.
no_command() {
	expect 1 "$SOURCE/tools/check-docs" "$tree" "$tree/assay"
	expect_text "$OUT" "$1"
}
fresh
command "$help" "$refuses"
expect 0 "$SOURCE/tools/check-docs" "$tree" "$tree/assay"
for section in NAME SYNOPSIS DESCRIPTION OPTIONS 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
	command "$help" "$refuses"
	sed -i "s/^.Sh $section/.Sh OTHER/" "$tree/man/assay-x.1"
	no_command "assay-x.1: there is no section $section"
done
for status in 0 2; do
	command "$help" "$refuses"
	sed -i "s/$status /9 /" "$tree/man/assay-x.1"
	no_command "assay-x.1: exit status $status is not described"
done
command "$help" "$refuses"
sed -i 's/^.Nm assay x/.Nm assay y/' "$tree/man/assay-x.1"
no_command "'assay x' is not in its synopsis"
command "$help" "$refuses"
rm "$tree/man/assay-x.1"
no_command "assay-x.1: there is no section"
command "$help" "$refuses"
: >"$tree/man/assay.1"
no_command 'assay.1: does not name assay-x 1'
command "$help" "$refuses"
echo 'commands[] = { };' >"$tree/src/programs/assay/main.c"
no_command 'cmd_x is not in the table of main.c'
command "${help/  -j, --json/  -j, --frob}" "$refuses"
no_command 'assay x: has no --json'
command "${help/usage: assay x/usage: x}" "$refuses"
no_command 'assay x: --help does not print'
command "${help/exit 0/exit 1}" "$refuses"
no_command 'assay x: --help does not print'
for wrong in "${refuses/exit 2/exit 1}" "${refuses/see/hm}" "echo x; $refuses"; do
	command "$help" "$wrong"
	no_command 'assay x: --no-such-option does not exit with 2'
done

plant headers src/base/y.h '#pragma once' 'size_t assay_y(void);'

plant unit packaging/x.service '[Service]' 'PrivateTmp=yes'
plant unit packaging/x.service.in '[Service]' ' ProtectSystem = full'
plant unit packaging/x.service '[Service]' 'NewInventionOfNextYear=yes'
plant unit packaging/x.service '[Unit]' 'NoNewPrivileges=yes'

if command -v mandoc >/dev/null; then
	plant man man/assay-x.1 '.Dd $Mdocdate$' '.Dt ASSAY-X 1' '.Os' '.Sh NAME' '.Nm x' '.Nd nothing'
fi

# library NAME MEMBER LINE: an archive with one object.
library() {
	printf '%s\n' "$3" >"$SCRATCH/m.c"
	cc -c -o "$SCRATCH/$2" "$SCRATCH/m.c" && rm -f "$SCRATCH/$1" && ar rc "$SCRATCH/$1" "$SCRATCH/$2"
}
library libbase.a x.o 'int assay_x(void) { return 0; }'
expect 0 "$SOURCE/tools/check-exports" "$SCRATCH/libbase.a"
library libbase.a x.o 'int x(void) { return 0; }'
expect 1 "$SOURCE/tools/check-exports" "$SCRATCH/libbase.a"
library libengine.a x.o 'int getpid(void); int assay_x(void) { return getpid(); }'
expect 1 "$SOURCE/tools/check-exports" "$SCRATCH/libengine.a"
library libengine.a core_x.o 'void *malloc(unsigned long); void *assay_x(void) { return malloc(1); }'
expect 1 "$SOURCE/tools/check-exports" "$SCRATCH/libengine.a"
library libengine.a x.o 'void *malloc(unsigned long); void *assay_x(void) { return malloc(1); }'
expect 0 "$SOURCE/tools/check-exports" "$SCRATCH/libengine.a"
