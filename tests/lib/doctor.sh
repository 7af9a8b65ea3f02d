# SPDX-License-Identifier: LGPL-2.1-or-later
# What tests of "assay doctor" share; sourced after tests/lib.sh: . "$(dirname "$TEST_LIB")/lib/doctor.sh"
# shellcheck shell=bash
need python3

# doctor STATUS [ARG]...: --json, into $SCRATCH/json.
doctor() {
	local status=$1
	shift
	expect "$status" timeout 60 "$ASSAY" doctor --control "$SCRATCH/none" "$@" --json
	cp "$SCRATCH/stdout" "$SCRATCH/json"
}

# is_there CHECK STATE [PYTHON]: there is such a finding (STATE may be "any"); of its facts (f), or of itself (x),
# the expression holds.
is_there() {
	python3 - "$SCRATCH/json" "$@" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
found = [x for x in report['findings'] if x['check'] == sys.argv[2] and sys.argv[3] in (x['state'], 'any')]
test = sys.argv[4] if len(sys.argv) > 4 else 'True'
there = any(eval(test, {}, {'f': x.get('facts') or {}, 'x': x}) for x in found)
sys.exit(0 if there else 9)
PY
}

has() {
	is_there "$@" || fail "no finding '$*' in: $(head -c 3000 "$SCRATCH/json")"
}

has_not() {
	local status=0
	is_there "$@" || status=$?
	[ $status = 9 ] || fail "there is a finding '$*', or the test is wrong: $status"
}
