# SPDX-License-Identifier: LGPL-2.1-or-later
# What tests of "assay doctor" share; sourced after tests/lib.sh: . "$(dirname "$TEST_LIB")/lib/doctor.sh"
# shellcheck shell=bash
need python3

# doctor STATUS [ARG]...: --json, into $SCRATCH/json.
doctor() {
	local status=$1
	shift
	expect "$status" timeout $((2 * PATIENCE)) "$ASSAY" doctor --control "$SCRATCH/none" "$@" --json
	cp "$SCRATCH/stdout" "$SCRATCH/json"
}

# One process looks at all the reports of a test: it is told CHECK, STATE and PYTHON, a line each, and answers with a
# status.
_begin_findings() {
	[ -z "${FINDINGS_PID:-}" ] || return 0
	cat >"$SCRATCH/findings.py" <<'PY'
import json, sys, traceback

def is_there(check, state, test):
    report = json.load(open(sys.argv[1]))
    for x in report['findings']: # each says what to do; who is root, and could not look, knows
        assert x['state'] in ('ok', 'unseen') or x.get('do'), x
    found = [x for x in report['findings'] if x['check'] == check and state in (x['state'], 'any')]
    return any(eval(test or 'True', {}, {'f': x.get('facts') or {}, 'x': x}) for x in found)

for line in sys.stdin:
    wanted = [line.rstrip('\n'), *(sys.stdin.readline().rstrip('\n') for _ in range(2))]
    try:
        print(0 if is_there(*wanted) else 9, flush=True)
    except Exception:
        traceback.print_exc()
        print(1, flush=True)
PY
	coproc FINDINGS { exec python3 "$SCRATCH/findings.py" "$SCRATCH/json" 2>"$SCRATCH/findings.err"; }
}

# is_there CHECK STATE [PYTHON]: there is such a finding (STATE may be "any"); of its facts (f), or of itself (x),
# the expression holds. Not in a subshell.
is_there() {
	local status=1 test=${3:-}
	_begin_findings
	printf '%s\n' "$1" "$2" "${test//$'\n'/ }" >&"${FINDINGS[1]}"
	read -r status <&"${FINDINGS[0]}" && [ "$status" != 1 ] || fail "is_there $*: $(cat "$SCRATCH/findings.err")"
	return "$status"
}

has() {
	is_there "$@" || fail "no finding '$*' in: $(head -c 3000 "$SCRATCH/json")"
}

has_not() {
	local status=0
	is_there "$@" || status=$?
	[ $status = 9 ] || fail "there is a finding '$*', or the test is wrong: $status"
}
