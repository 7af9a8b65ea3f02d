#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assayd --check-config: takes what assayd would start with, and refuses the rest with its place.
# shellcheck source=tests/lib.sh
. "$TEST_LIB"
cd "$SCRATCH"

# check_conf STATUS TEXT: a configuration of these lines.
check_conf() {
	printf '%s\n' "$2" >conf
	expect "$1" "$ASSAYD" --check-config --config conf
}

# check_policy STATUS POLICY [OPTION]...
check_policy() {
	local status=$1 policy=$2
	shift 2
	expect "$status" "$ASSAYD" --check-config --config /dev/null --policy "$policy" "$@"
}

# What is printed is a configuration that prints the same.
check_conf 0 $'policy = tcb|critical_data\nhash = sha384\nmount = /\nmount = /srv'
expect_text "$OUT" '^policy = tcb\|critical_data$'
expect_text "$OUT" '^mount = /srv$'
printf '%s\n' "$OUT" >printed
expect 0 "$ASSAYD" --check-config --config printed
diff -u printed <(printf '%s\n' "$OUT") || fail 'printing is no fixed point'
[ -z "$ERR" ] || fail "a good configuration has messages: $ERR"

check_conf 2 $'# c\nhash = md5'
expect_text "$ERR" "^assayd: conf:2:8: 'hash' takes one of: sha1 sha256 .*; not 'md5'"
check_conf 2 'template = ima_ng'
expect_text "$ERR" "^assayd: conf:1:12: 'template': unknown template or field 'ima_ng'"
check_conf 2 'colour = red'
expect_text "$ERR" "^assayd: conf:1:1: unknown key 'colour'; see assayd.conf"
check_conf 2 'template = ima-sig'
expect_text "$ERR" "^assayd: conf:1:12: template: template 'ima-sig': field 'sig' cannot be written by this version"
check_conf 2 $'#\ntemplate = ima'
expect_text "$ERR" "^assayd: conf:2:12: template: .*with this hash"
check_conf 2 $'hash = sha256\n policy = nope'
expect_text "$ERR" "^assayd: conf:2:11: policy: there is no built-in policy 'nope'; allowed: tcb"
check_conf 2 'policy = /nonexistent'
expect_text "$ERR" "^assayd: conf:1:10: policy: cannot open '/nonexistent'"
expect 2 "$ASSAYD" --check-config --config conf --policy nope
expect_text "$ERR" "^assayd: policy: there is no built-in policy 'nope'"
check_conf 2 $'pcr = 11\ntcti = foo:bar'
expect_text "$ERR" "^assayd: conf:2:8: 'tcti' begins with one of: device tabrmd swtpm mssim; not 'foo'"
check_conf 2 'kernel_list = foo'
expect_text "$ERR" "^assayd: conf:1:15: 'kernel_list' takes auto, none, or a path"
for key in mount list_dir soft_anchor_dir control_socket public_socket audit_journal view_dir; do
	check_conf 2 "$key = some/where"
	expect_text "$ERR" "^assayd: conf:1:[0-9]*: '$key' takes .*; not 'some/where'"
done
expect 2 "$ASSAYD" --nope
[ "$ERR" = "assayd: unknown option '--nope'; see 'assayd --help'" ] || fail "it says: $ERR"
expect 2 "$ASSAYD" --config
[ "$ERR" = "assayd: an argument is missing after '--config'; see 'assayd --help'" ] || fail "it says: $ERR"
expect 2 "$ASSAYD" --check-config=1
[ "$ERR" = "assayd: it takes no argument: '--check-config=1'; see 'assayd --help'" ] || fail "it says: $ERR"
check_conf 0 $'template = ima\nhash = sha1'
expect 2 "$ASSAYD" --check-config --config nowhere
expect_text "$ERR" "cannot open 'nowhere'"
expect 2 "$ASSAYD" --check-config --pcr 11
expect 2 "$ASSAYD" --check-config --mode all
expect_text "$ERR" "^assayd: --mode: 'anchor_mode' takes one of: each group ordered; not 'all'"

# Built-in policies: every one, and in the kernel's ways to join them.
names=$("$ASSAY" policy show --list)
for name in $names 'critical_data|tcb' 'tcb fail_securely'; do
	check_policy 0 "$name"
done
check_policy 0 tcb
[ -z "$ERR" ] || fail "tcb has messages: $ERR"
for name in fail_securely critical_data secure_boot; do
	check_policy 0 $name
	expect_text "$ERR" "policy '$name' measures and audits nothing that is seen here"
done
check_policy 0 'tcb|appraise_tcb'
expect_text "$ERR" "rules that appraise or hash: 2, without effect"
check_policy 2 tbc
expect_text "$ERR" "no built-in policy 'tbc'; allowed: tcb .*; the path of a file has a '/'"

# Files.
echo 'measure fun=X' >bad
check_policy 2 ./bad
expect_text "$ERR" "^assayd: ./bad:1:9: unknown token 'fun=X'"
printf 'measure func=BPRM_CHECK\nmeasure func=FILE_CHECK template=ima-sig\n' >sig
check_policy 2 ./sig
expect_text "$ERR" "^assayd: ./sig:2: template 'ima-sig': field 'sig' cannot be written"
echo 'measure pcr=24' >pcr
check_policy 2 ./pcr
expect_text "$ERR" "^assayd: ./pcr:1: a TPM has no PCR 24"
# A rule may name the format of the default template.
echo 'measure template=d-ng|n-ng|iuid' >format
check_policy 2 ./format
printf 'template = d-ng|n-ng|iuid\npolicy = ./format\n' >conf
expect 0 "$ASSAYD" --check-config --config conf

# The examples: those without signatures can be measured by today.
for file in "$SOURCE"/examples/policies/*.policy; do
	status=0
	grep -q -E 'template=ima-(sig|modsig)' "$file" && status=2
	check_policy $status "$file"
done
