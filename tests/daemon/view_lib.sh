# SPDX-License-Identifier: LGPL-2.1-or-later
# What the tests of the view share; sourced after $TEST_LIB. The view is on $VIEW, over the list in $LIST, with
# the policy in $POLICY; it is served by $SERVE, whose parts are $PARTS once it is up.
# shellcheck shell=bash
: "${VIEW_SERVE:?}" "${LIST_MAKE:?}"
LIST=$SCRATCH/list POLICY=$SCRATCH/policy SERVE_LOG=$SCRATCH/serve.log VIEW=$SCRATCH/run/ima
SERVE='' PARTS=()

# view_test: how each test begins.
view_test() {
	need_root
	need unshare
	in_namespaces
	[ "$VIEW_SERVE" != none ] || skip "it is built without the view"
	{ : <>/dev/fuse; } 2>/dev/null || skip "this kernel has no FUSE"
	mkdir -p "$SCRATCH/run" "$LIST"
	chmod 755 "$SCRATCH" "$SCRATCH/run"
	echo 'measure func=FILE_CHECK' >"$POLICY"
	_mounts+=("$VIEW") # should a test fail
}

is_served() {
	grep -q '^ready ' "$SERVE_LOG"
}

is_mounted() {
	grep -q " $VIEW fuse.assay " /proc/mounts
}

not_mounted() {
	! is_mounted
}

# child_of PID: the first.
child_of() {
	awk '{ print $1 }' "/proc/$1/task/$1/children"
}

# have_parts: all five are there; the second guard comes after the view says that it is ready.
have_parts() {
	local view guard
	view=$(sed -n 's/^ready \([0-9]*\) .*/\1/p' "$SERVE_LOG")
	guard=$(child_of "$view")
	PARTS=("$SERVE" "$(child_of "$SERVE")" "$view" "$guard" "$([ -z "$guard" ] || child_of "$guard")")
	[ "$(wc -w <<<"${PARTS[*]}")" = 5 ]
}

# serve: starts it.
serve() {
	: >"$SERVE_LOG"
	background "$VIEW_SERVE" "$SCRATCH/run" "$LIST" "$POLICY" >"$SERVE_LOG" 2>&1
	SERVE=$PID
	wait_for 20 is_served
	wait_for 10 have_parts
	is_mounted || fail "nothing is mounted"
}

# unserve: ends it in order; on return it is unmounted.
unserve() {
	local status=0
	kill -TERM "$SERVE"
	wait "$SERVE" || status=$?
	[ $status = 0 ] || fail "view_serve ends with $status: $(tail -n 5 "$SERVE_LOG")"
	not_mounted || fail "it is mounted still"
}

# list_of RUN: the records of that kernel's list are $LIST.
list_of() {
	rm -rf "$LIST" && mkdir "$LIST"
	expect 0 "$LIST_MAKE" "$LIST" add "$SOURCE/tests/vectors/kernel/$1/binary_runtime_measurements"
}
