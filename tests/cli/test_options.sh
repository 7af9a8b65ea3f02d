#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every command: --help, and what it says of options that it does not have, or not so.
. "$TEST_LIB"

commands=("log show" "log verify" "log stat" "log export" quote "quote verify" doctor status "tpm info" "tpm create-ak"
	"policy check" "policy show" "policy explain")

# assay_ STATUS "COMMAND" [ARG]...
assay_() {
	local status=$1 command=$2
	shift 2
	# shellcheck disable=SC2086
	expect "$status" "$ASSAY" $command "$@"
}

for c in "${commands[@]}"; do
	for help in --help -h; do
		assay_ 0 "$c" $help
		expect_text "$OUT" "^usage: assay $c"
		[ -z "$ERR" ] || fail "--help writes to stderr: $ERR"
	done
	assay_ 2 "$c" --frob
	expect_text "$ERR" "^assay $c: .*; see 'assay $c --help'$"
	expect_text "$ERR" "frob"
	[ -z "$OUT" ] || fail "an error writes to stdout: $OUT"
	[ "$(wc -l <<<"$ERR")" = 1 ] || fail "not one line: $ERR"
done

says() { # TEXT "COMMAND" [ARG]...
	local text=$1
	shift
	assay_ 2 "$@"
	[[ "$ERR" == "assay $1: $text"* ]] || fail "'$*' says: $ERR"
}
says "unknown option '-Z'" "log verify" -Z
says "unknown option '-Z'" "log verify" -vZc x
says "unknown option '-x'" "log show" --json -xj
says "--json: it takes no argument: '--json=1'" "log show" --json=1 x
says "--pcr: its argument BANK:INDEX:HEX is missing" "log verify" --pcr
says "--pcr: its argument BANK:INDEX:HEX is missing" "log verify" -p
says "--pcr: 'x' is not BANK:INDEX:HEX" "log verify" -p x
says "--jobs: '0' is no number of threads" "log verify" --jobs 0
says "--first: 'x' is no number of a segment" "log verify" --first x
says "a file is needed" "log verify"
says "a file is needed" "log show"
says "one file is needed" "log export" -f ascii
says "--format: there is no format 'x'" "log export" --format x
says "--bank: 'x' is no PCR bank" "log export" -b x
says "--json needs --out: without it the standard output is the list itself" "log export" -f ascii --json x
says "--json needs --out: " "log export" -f ascii --json --out - x
says "--nonce: the nonce is 1 to 64 bytes" quote --nonce xyz
says "--nonce: the nonce is 1 to 64 bytes" "quote verify" -n "$(printf '00%.0s' {1..65})"
says "--ak: it stands there twice: 'b'" "quote verify" --ak a --ak b
says "--pcrs: " quote --pcrs frob
says "--algorithm: 'x' is neither 'ecc' nor 'rsa'" "tpm create-ak" -a x
says "it takes no argument, not 'x'" status x

# Options may stand behind operands, in one word with their arguments, and cut short; "--" ends them.
list=$SOURCE/tests/vectors/kernel/6.1.0/sha1-ima/binary_runtime_measurements
pcrs=${list%/*}/pcrs.txt
assay_ 0 "log verify" "$list" -v "-P$pcrs"
assay_ 0 "log verify" --ignore-viol "--pcrs=$pcrs" -- "$list"
expect_text "$OUT" "^verdict: holds$"
