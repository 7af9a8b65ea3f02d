#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assay policy check, show and explain.
# shellcheck source=tests/lib.sh
. "$TEST_LIB"

# same NAME TEXT: $OUT is TEXT.
same() {
	diff -u <(printf '%s\n' "$2") <(printf '%s\n' "$OUT") || fail "$1: not what was expected"
}

cd "$SCRATCH"

### check
cat >good.policy <<'EOF'
# comment
measure   mask=MAY_EXEC	func=FILE_MMAP # why
appraise fowner=0 fsuuid=01234567-89AB-CDEF-0123-456789ABCDEF permit_directio

measure template=d-ng|n-ng pcr=11 func=BPRM_CHECK
EOF
expect 0 "$ASSAY" policy check good.policy
same check 'good.policy: 3 rules, 0 warnings'
expect 0 "$ASSAY" policy check --print good.policy
same print 'measure func=MMAP_CHECK mask=MAY_EXEC
appraise fsuuid=01234567-89ab-cdef-0123-456789abcdef fowner=0 permit_directio
measure func=BPRM_CHECK pcr=11 template=ima-ng'
printf '%s\n' "$OUT" >printed
expect 0 "$ASSAY" policy check --print - <printed
same 'fixed point' "$(cat printed)"
[ -z "$ERR" ] || fail "a good policy has messages: $ERR"

cat >bad.policy <<'EOF'
measure func=BPRM_CHECK
  measure func=KEY_CHECK mask=MAY_READ
EOF
expect 2 "$ASSAY" policy check bad.policy
[ -z "$OUT" ] || fail "a refused policy prints '$OUT'"
expect_text "$ERR" '^bad\.policy:2:26: mask is not allowed with func=KEY_CHECK; allowed: uid gid keyrings pcr template$'
expect 2 "$ASSAY" policy check --print bad.policy
[ -z "$OUT" ] || fail "a refused policy prints '$OUT'"
expect 2 "$ASSAY" policy check - <<<'measure mask=READ'
expect_text "$ERR" "^-:1:14: 'READ' is no value of mask; allowed: one of MAY_EXEC"
expect 2 "$ASSAY" policy check /dev/null
expect_text "$ERR" '^/dev/null:1:1: there is no rule'
expect 2 "$ASSAY" policy check nowhere.policy
expect_text "$ERR" "nowhere.policy': No such file"
head -c 1100000 /dev/zero | tr '\0' '\n' >big.policy
expect 2 "$ASSAY" policy check big.policy

printf 'audit obj_type=t\nmeasure fsname=a fsname=b\n' >odd.policy
expect 0 "$ASSAY" policy check odd.policy
same warnings 'odd.policy: 2 rules, 2 warnings'
expect_text "$ERR" '^odd\.policy:1:7: warning: labels are not read'
expect_text "$ERR" '^odd\.policy:2:18: warning: fsname is given twice'

expect 2 "$ASSAY" policy check - <<<'measure template=d-ng|n-ng|iuid'
expect 2 "$ASSAY" policy check --template ima_ng - <<<'measure'
expect_text "$ERR" "template: unknown template or field 'ima_ng'"
expect 0 "$ASSAY" policy check --template 'd-ng|n-ng|iuid' - <<<'measure template=d-ng|n-ng|iuid'

expect 0 "$ASSAY" policy check --json odd.policy
python3 - "$SCRATCH/stdout" <<'EOF'
import json, sys
j = json.load(open(sys.argv[1]))
assert j['result'] == 'holds' and j['file'] == 'odd.policy', j
assert j['rules'][1] == {'line': 2, 'text': 'measure fsname=b'}, j
assert [(w['line'], w['column']) for w in j['warnings']] == [(1, 7), (2, 18)], j
EOF
expect 2 "$ASSAY" policy check --json bad.policy
python3 - "$SCRATCH/stdout" <<'EOF'
import json, sys
j = json.load(open(sys.argv[1]))
assert j['result'] == 'refused' and 'rules' not in j, j
assert (j['error']['line'], j['error']['column']) == (2, 26), j
EOF

# A name of any bytes is told, and JSON.
cp odd.policy $'odd\xff.policy'
expect 0 "$ASSAY" policy check --json $'odd\xff.policy'
expect_text "$OUT" '"file": "odd\\\\xff.policy"'
expect 0 "$ASSAY" policy explain --json --policy $'./odd\xff.policy' --func FILE_CHECK $'odd\xff.policy'
expect_text "$OUT" '"policy": "./odd\\\\xff.policy"'
expect_text "$OUT" '"path": "odd\\\\xff.policy"'

for file in "$SOURCE"/examples/policies/*.policy "$SOURCE"/tests/vectors/kernel/*/*/policy.txt; do
	expect 0 "$ASSAY" policy check --print "$file"
	printf '%s\n' "$OUT" >printed
	expect 0 "$ASSAY" policy check --print printed
	same "$file" "$(cat printed)"
done

### show
expect 0 "$ASSAY" policy show --list
same list 'tcb
ima_tcb
secure_boot
appraise_tcb
critical_data
fail_securely'
for name in $OUT; do
	expect 0 "$ASSAY" policy show "$name"
	[ "$name" = fail_securely ] && continue
	printf '%s\n' "$OUT" >shown
	expect 0 "$ASSAY" policy check --print shown
	same "$name" "$(cat shown)"
done
expect 0 "$ASSAY" policy show secure_boot
same secure_boot 'appraise func=MODULE_CHECK appraise_type=imasig
appraise func=FIRMWARE_CHECK appraise_type=imasig
appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig
appraise func=POLICY_CHECK appraise_type=imasig'
expect 0 "$ASSAY" policy show 'critical_data|secure_boot'
[ "$(tail -n 1 <<<"$OUT")" = 'measure func=CRITICAL_DATA' ] || fail "not the kernel's order: $OUT"
expect 0 "$ASSAY" policy show --json 'tcb|fail_securely'
python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); assert j["fail_securely"] and len(j["rules"]) == 20' \
	"$SCRATCH/stdout"
expect 2 "$ASSAY" policy show nope
expect_text "$ERR" "no built-in policy 'nope'; allowed: tcb ima_tcb"
expect 2 "$ASSAY" policy show
# A file has a slash, here as for assayd, whatever lies in the folder.
echo measure >tbc
expect 2 "$ASSAY" policy explain --policy tbc --func FILE_CHECK
expect_text "$ERR" "no built-in policy 'tbc'; allowed: tcb .*; the path of a file has a '/'$"
expect 0 "$ASSAY" policy explain --policy ./tbc --func FILE_CHECK

### explain
cat >explain.policy <<'EOF'
dont_measure fsmagic=0x9fa0
measure func=FILE_CHECK uid=0 pcr=11
measure func=FILE_CHECK mask=^MAY_WRITE fowner=7
audit func=FILE_CHECK gid>5 permit_directio
EOF
explain() {
	expect 0 "$ASSAY" policy explain --policy ./explain.policy "$@"
}
explain --func FILE_CHECK --uid 1000 --gid 9 --fsmagic 0xef53 --fsname ext4 --fowner 7 --fgroup 8 \
	--mask 'MAY_READ|MAY_WRITE'
same explain 'event: FILE_CHECK, mask MAY_WRITE|MAY_READ, policy ./explain.policy with 4 rules
subject: uid 1000, euid 1000, gid 9, egid 9
object: fsmagic 0xef53, fsname ext4, fs_subtype not known, fsuuid not known, fowner 7, fgroup 8

measure: yes, by line 3: measure func=FILE_CHECK mask=^MAY_WRITE fowner=7
  not line 1: dont_measure fsmagic=0x9fa0
    fsmagic is 0xef53
  not line 2: measure func=FILE_CHECK pcr=11 uid=0
    uid is 1000

appraise: no, the policy has no rule that says it

audit: yes, by line 4: audit func=FILE_CHECK gid>5 permit_directio

hash: no, the policy has no rule that says it

options: permit_directio
another subject: may get something else
another mask: may get something else'
explain --func FILE_CHECK --uid 0 --gid 0
expect_text "$OUT" '^measure: yes, by line 2'
expect_text "$OUT" '^    fsmagic is not known'
expect_text "$OUT" '^options: pcr=11$'
expect_text "$OUT" '^audit: no, no rule matches'
explain --func FILE_CHECK --uid 0 --fsmagic 9fa0
expect_text "$OUT" '^measure: no, by line 1'
# What is not known does not hold, whatever zero would do.
explain --func FILE_CHECK --uid 1 --mask MAY_WRITE
expect_text "$OUT" '^    fowner is not known'
explain --func BPRM_CHECK --uid 0
expect_text "$OUT" '^    func is BPRM_CHECK'
explain --func FILE_CHECK --uid 1000 --gid 0 --any-subject
expect_text "$OUT" '^measure: yes, by line 2'

# A path says what the options do not.
touch file
fsname=$(stat -f -c %t file)
explain --func FILE_CHECK --uid 5 --gid 5 file
expect_text "$OUT" "^object: file, fsmagic 0x$fsname, fsname [a-z0-9]+, .*fowner $(id -u), fgroup $(id -g)"
explain --func FILE_CHECK --uid 5 --gid 5 --fowner 7 --mask MAY_WRITE file
expect_text "$OUT" '^measure: yes, by line 3'
if [ -r /proc/self/stat ]; then
	explain --func FILE_CHECK --uid 0 /proc/self/stat
	expect_text "$OUT" '^measure: no, by line 1'
	expect_text "$OUT" 'fsname proc'
fi

# The capability widens euid=.
echo 'measure euid=7' >explain.policy
explain --func FILE_CHECK --uid 7 --euid 8
expect_text "$OUT" '^measure: no'
explain --func FILE_CHECK --uid 7 --euid 8 --cap-setuid yes
expect_text "$OUT" '^measure: yes'

expect 0 "$ASSAY" policy explain --policy critical_data --func CRITICAL_DATA --label selinux --json
python3 - "$SCRATCH/stdout" <<'EOF'
import json, sys
j = json.load(open(sys.argv[1]))
assert j['measure'] == {'result': True, 'earlier': [],
                        'rule': {'line': 1, 'text': 'measure func=CRITICAL_DATA'}}, j
assert j['appraise']['rule'] is None and j['event']['label'] == 'selinux', j
EOF
expect 0 "$ASSAY" policy explain --json --func BPRM_CHECK --fsmagic 0xef53
python3 - "$SCRATCH/stdout" <<'EOF'
import json, sys
j = json.load(open(sys.argv[1]))
assert j['policy'] == 'tcb' and j['measure']['rule']['line'] == 15, j
assert j['measure']['earlier'][0]['failed'] == 'fsmagic' and j['measure']['earlier'][0]['is'] == '0xef53', j
assert len(j['measure']['earlier']) == 14 and j['by_mask'] and not j['by_subject'], j
EOF

for wrong in '' '--func FOO' '--func FILE_CHECK --uid x' '--func FILE_CHECK --mask READ' \
	'--func FILE_CHECK --fsuuid 1' '--func FILE_CHECK --fsmagic g' '--func FILE_CHECK --cap-setuid 1' \
	'--func FILE_CHECK a b' '--nope' '--func FILE_CHECK --policy nowhere' '--func FILE_CHECK nowhere'; do
	# shellcheck disable=SC2086
	expect 2 "$ASSAY" policy explain $wrong
	[ -z "$OUT" ] && [ -n "$ERR" ] || fail "'$wrong' prints '$OUT', and '$ERR'"
done
expect 2 "$ASSAY" policy
expect 2 "$ASSAY" policy nope
