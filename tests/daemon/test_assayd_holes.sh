#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The ways past fanotify that docs/decisions/0054 lists, each tried by a user: those that it calls closed leave a record,
# and those that it calls open leave none. Who closes one has to change both.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
. "$SOURCE/tests/daemon/hang.sh"
: "${BRIEF:?}"
hang_test mount

# tries TRICK NAME: on a program of that name; false if this kernel does not know it.
tries() {
	local status=0
	"${runs[@]}" python3 "$SCRATCH/holes.py" "$1" "$MNT/$2" || status=$?
	[ $status != 77 ] || { echo "this kernel has no $1" && return 1; }
	[ $status = 0 ] || fail "$1 does not work: $status"
}

# closed TRICK [NAME]: it is recorded, once.
closed() {
	! tries "$1" "${2:-$1}" || need_measured "$MNT/${2:-$1}" 1
}

cp "$SOURCE/tests/daemon/holes.py" "$SCRATCH/"
chmod 644 "$SCRATCH/holes.py"
for name in openat2 io_uring handle path_only path_again memfd program; do
	{ cat "$BRIEF" && echo $name; } >"$MNT/$name"
	chmod 755 "$MNT/$name"
done
as_user sh -c 'echo "what is stored here is not seen" >"$1"' sh "$MNT/shared"
printf '%s\n' 'measure func=FILE_CHECK mask=^MAY_READ' 'measure func=BPRM_CHECK' >"$SCRATCH/policy"
exec {before}<"$MNT/program"
start_hang

# ---- closed ------------------------------------------------------------------------------------------------------
runs=("${USER_RUNS[@]}")
for trick in openat2 io_uring path_only path_again; do closed $trick; done
runs=()
closed handle
runs=("${USER_RUNS[@]}")

# ---- open --------------------------------------------------------------------------------------------------------
as_user cat "$MNT/memfd" >/dev/null
need_measured "$MNT/memfd" 1
tries memfd memfd
[ "$(entries | grep -c 'nobody-sees-me' || true)" = 0 ] || fail 'what a memfd runs is recorded: the hole is closed'
# The descriptor was there before assayd.
cat <&$before >/dev/null
exec {before}<&-
need_measured "$MNT/program" 0
# A mark is there: the writer's own open raises no event, nor does the store.
as_user cat "$MNT/shared" >/dev/null
need_measured "$MNT/shared" 1
[ "$(status work.marks)" -gt 0 ] || fail 'there are no marks'
tries shared shared
[ "$(head -c 6 "$MNT/shared")" = STORED ] || fail 'nothing was stored'
digest=$(sha256sum "$MNT/shared")
[ "$(entries | grep -c "sha256:${digest%% *} $MNT/shared" || true)" = 0 ] || fail 'the store was seen: the hole is closed'
# The next modification by a system call ends that.
as_user sh -c 'echo more >>"$1"' sh "$MNT/shared"
as_user cat "$MNT/shared" >/dev/null
need_measured "$MNT/shared" 2
stop_assayd
wait "$WATCHER" || true

# ---- what is mapped ------------------------------------------------------------------------------------------------
LIST=$SCRATCH/list-mapped
echo 'measure func=MMAP_CHECK mask=MAY_EXEC' >"$SCRATCH/policy"
for name in data executable; do head -c 4096 /dev/zero | tr '\0' x >"$MNT/$name"; done
cp "$BRIEF" "$MNT/elf"
chmod 644 "$MNT/elf"
chmod 755 "$MNT/executable"
start_hang
for name in data executable elf; do tries mapped $name; done
need_measured "$MNT/executable" 1
need_measured "$MNT/elf" 1
need_measured "$MNT/data" 0 # neither ELF nor executable
stop_assayd
wait "$WATCHER" || true
