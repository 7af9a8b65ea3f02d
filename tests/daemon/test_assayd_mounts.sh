#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which filesystems are watched: each kind, those that the policy can match, those that come later;
# what is not watched is said. And what ran before the start is measured as late.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
need blkid
daemon_test tpm

uuid() {
	blkid -s UUID -o value "$SCRATCH/$1.img"
}

# reload: the same policy anew.
reload() {
	forced=$(grep -c 'is in force' "$LOG" || true)
	kill -HUP "$DAEMON"
	wait_for 10 more_forced
}

more_forced() {
	[ "$(grep -c 'is in force' "$LOG")" -gt "$forced" ]
}

# ---- each kind ------------------------------------------------------------------------------------------
printf '%s\n' 'measure func=FILE_CHECK mask=^MAY_READ' 'measure func=BPRM_CHECK mask=MAY_EXEC' \
	>"$SCRATCH/everything"
scratch_kinds
for kind in "${KINDS[@]}"; do
	MNT=$SCRATCH/$kind LIST=$SCRATCH/list-$kind
	mkdir -p "$MNT/dir"
	echo "$kind" >"$MNT/dir/file"
	cp /bin/true "$MNT/dir/prog"
	start_assayd "policy=$SCRATCH/everything" first_sight=eager
	"$MNT/dir/prog"
	cat "$MNT/dir/file" >/dev/null
	before=$(status events.read)
	"$MNT/dir/prog"
	cat "$MNT/dir/file" "$MNT/dir/file" >/dev/null
	[ "$(status events.read)" = "$before" ] || fail "$kind: what is known raises events"
	# Another policy: every file is asked for again, one that is open and deleted too.
	reload
	"$MNT/dir/prog"
	cat "$MNT/dir/file" >/dev/null
	[ "$(status events.read)" -gt "$before" ] || fail "$kind: what is known stays so under another policy"
	cat "$MNT/dir/file" "$MNT/dir/file" >/dev/null
	exec 8<"$MNT/dir/file"
	cp "$MNT/dir/file" "$MNT/dir/new"
	rm "$MNT/dir/file"
	before=$(status events.read)
	cat /proc/self/fd/8 >/dev/null
	[ "$(status events.read)" = "$before" ] || fail "$kind: what is known raises events after a reload"
	reload
	cat /proc/self/fd/8 >/dev/null
	[ "$(status events.read)" -gt "$before" ] || fail "$kind: a deleted file stays known"
	exec 8<&-
	mv "$MNT/dir/new" "$MNT/dir/file"
	[ "$kind" = overlay ] || ! log_says 'all are removed' || fail "$kind: its marks are not reached one by one"
	echo changed >>"$MNT/dir/file"
	cat "$MNT/dir/file" >/dev/null
	need_measured "$MNT/dir/file" 2
	need_measured "$MNT/dir/prog" 1
	stop_assayd
	echo "$kind: watched"
done

# A file that is open on what is mounted here no more: its mark goes with all the others.
mkdir "$SCRATCH/gone"
mount -t tmpfs none "$SCRATCH/gone"
MNT=$SCRATCH/gone LIST=$SCRATCH/list-gone
echo gone >"$MNT/file"
start_assayd "policy=$SCRATCH/everything" first_sight=eager
exec 8<"$MNT/file"
umount -l "$MNT"
before=$(status events.read)
cat /proc/self/fd/8 >/dev/null
[ "$(status events.read)" = "$before" ] || fail 'what is known raises events'
reload
log_says 'all are removed' || fail 'a filesystem that is mounted nowhere was reached'
log_says "nothing is mounted at '$MNT'" || fail 'what is below the mount point may be watched in its place'
cat /proc/self/fd/8 >/dev/null
[ "$(status events.read)" -gt "$before" ] || fail 'what is mounted nowhere stays known'
exec 8<&-
stop_assayd

# ---- by the policy, and later -------------------------------------------------------------------------------
# Rules by filesystem: of all mounts here only these are marked, also one that comes later.
scratch_mount first
scratch_mount other
scratch_mount later
umount "$SCRATCH/later"
{
	echo "measure func=FILE_CHECK mask=MAY_READ fsuuid=$(uuid first)"
	echo "measure func=FILE_CHECK mask=MAY_READ fsuuid=$(uuid later)"
	echo 'measure func=FILE_CHECK fsmagic=0x9fa0'
} >"$SCRATCH/by-uuid"
for f in first other; do echo $f >"$SCRATCH/$f/file"; done
MNT='' LIST=$SCRATCH/list-uuid
start_assayd "policy=$SCRATCH/by-uuid"
[ "$(status watched)" = 1 ] || fail "$(status watched) filesystems are watched, not 1: $(cat "$LOG")"
cat "$SCRATCH/first/file" "$SCRATCH/other/file" >/dev/null
need_measured "$SCRATCH/first/file" 1
need_measured "$SCRATCH/other/file" 0
expect_text "$(status uncovered)" '"type": "proc"'
procs=$(awk '/ - proc / { print $3 }' /proc/self/mountinfo | sort -u | wc -l) # this namespace's, and the one below it
wait_for 60 records_are 'event=uncovered;type=proc;' = "$procs" 'proc is not recorded as uncovered'
mount -o loop "$SCRATCH/later.img" "$SCRATCH/later"
wait_for 10 status_is watched 2
echo late >"$SCRATCH/later/file"
cat "$SCRATCH/later/file" >/dev/null
need_measured "$SCRATCH/later/file" 1
stop_assayd

# ---- more than anybody wants to know --------------------------------------------------------------------------
# Many that are not watched, with long names of any bytes, coming and going: the reply stays one message,
# and the list gets few records and a count. devpts stands for what an ordinary user mounts: each is new.
echo 'measure func=FILE_CHECK fsmagic=0x1cd1' >"$SCRATCH/pts"
ptys=$(grep -c ' - devpts ' /proc/self/mountinfo || true)
LIST=$SCRATCH/list-many
many=$SCRATCH/$'many-\e[31m\xff\x01'$(printf '%0200d' 0)
mkdir "$many"
start_assayd "policy=$SCRATCH/pts"
mkdir "$SCRATCH/"$'c1-\xc2\x9b2J'
mount -t devpts none "$SCRATCH/"$'c1-\xc2\x9b2J'
_mounts+=("$SCRATCH/"$'c1-\xc2\x9b2J')
c1_seen() {
	status uncovered | grep -q 'c1-\\\\xc2\\\\x9b2J'
}
wait_for 20 c1_seen
for ((i = 0; i < 150; i++)); do
	mkdir "$many/$i"
	mount -t devpts none "$many/$i"
	_mounts+=("$many/$i")
done
all_seen() {
	[ $(($(status uncovered | grep -o '"point"' | wc -l) + $(status uncovered_more))) -ge 150 ]
}
wait_for 20 all_seen
[ "$(status uncovered_more)" -gt 0 ] || fail 'the reply has them all'
expect_text "$(status uncovered)" '"point": "[^"]*many-\\\\x1b\[31m\\\\xff\\\\x01'
is_well() { "$ASSAY" status --control "$CONTROL" >/dev/null; } # the search may be late on a busy machine
wait_for 60 is_well
expect_text "$("$ASSAY" status --control "$CONTROL" || true)" 'and [0-9]+ more: see --json'
for ((i = 0; i < 150; i++)); do umount -l "$many/$i"; done # -l: it may be looked at just now
none_left() {
	status_is uncovered_more 0 && [ "$(status uncovered | grep -o many | wc -l)" = 0 ]
}
wait_for 20 none_left
for ((i = 0; i < 10; i++)); do mount -t devpts none "$many/$i"; done
ten_seen() {
	[ "$(status uncovered | grep -o many | wc -l)" = 10 ]
}
wait_for 20 ten_seen
stop_assayd
wait_for 60 records_are 'event=uncovered;type=devpts;point=' = 32 "devpts has $(state_records 'event=uncovered;type=devpts;point=') records"
counted=$(state_texts | sed -n 's/.*event=uncovered;type=devpts;count=\([0-9]*\);$/\1/p')
# One that goes while it is looked at seems to be mounted over, which is counted, too.
echo "of $((ptys + 160)) filesystems 32 have records, $counted are counted"
[ "$counted" -ge $((ptys + 160 - 32)) ] || fail "$counted are counted"

# ---- what runs already ----------------------------------------------------------------------------------------
# A program and a library that are gone by name, and still run.
MNT=$SCRATCH/ext4 LIST=$SCRATCH/list-late
cp /bin/sleep "$MNT/runs"
libc=$(ldd /bin/sleep | awk '/libc\.so/ { print $3 }')
mkdir "$MNT/lib"
cp "$libc" "$MNT/lib/"
digests=$(sha256sum "$MNT/runs" "$MNT/lib/${libc##*/}" | cut -d ' ' -f 1)
LD_LIBRARY_PATH=$MNT/lib background "$MNT/runs" 250
wait_for 5 grep -q "$MNT/lib/" "/proc/$PID/maps"
rm "$MNT/runs" "$MNT/lib/${libc##*/}"
# And two that map a file on which they hold a write lease: it cannot be opened, until one is told to let go of it.
cp /bin/true "$MNT/leased"
cp /bin/false "$MNT/kept"
cat >"$SCRATCH/lease.py" <<'EOF'
import fcntl, mmap, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR)
code = mmap.mmap(fd, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
signal.signal(signal.SIGUSR1, lambda *_: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK))
print('held', flush=True)
while True:
    signal.pause()
EOF
background python3 "$SCRATCH/lease.py" "$MNT/kept" >"$SCRATCH/kept"
keeper=$PID
background python3 "$SCRATCH/lease.py" "$MNT/leased" >"$SCRATCH/lease"
leaser=$PID
wait_for 10 grep -q held "$SCRATCH/kept"
wait_for 10 grep -q held "$SCRATCH/lease"
# A drop-in of our unit, in a folder that only we see.
drop_in=/usr/local/lib/systemd/system/assayd.service.d/50-test.conf
mkdir -p "$SCRATCH/local${drop_in%/*}"
echo '[Service]' >"$SCRATCH/local$drop_in"
if [ "$(findmnt -n -o PROPAGATION -T /usr/local/lib)" = private ]; then
	mount --bind "$SCRATCH/local/usr/local/lib" /usr/local/lib
	_mounts+=(/usr/local/lib)
else
	echo 'without a drop-in: what is mounted here is seen elsewhere'
	drop_in=''
fi
start_assayd
for d in $digests; do
	entries | grep -q "sha256:$d $MNT/" || fail "what runs already is not measured: $d"
done
wait_for 60 records_are 'event=late;processes=.*;unreadable=[1-9]' = 1 'the late scan is not recorded, with the file that is not to be opened'
log_says "cannot open '$MNT/leased' of process $leaser: " || fail 'the log does not name it'
expect_text "$(status not_protected)" '"late_unmeasured", "reason": "[2-9] files'
kill -USR1 "$leaser"
digest=$(sha256sum /bin/true | cut -d ' ' -f 1)
leased_is_measured() { # nobody opens it here
	entries >"$SCRATCH/entries"
	grep -q "sha256:$digest $MNT/leased\$" "$SCRATCH/entries"
}
wait_for 40 leased_is_measured
grep -q " $MNT/kept\$" "$SCRATCH/entries" && fail 'a file was opened under a write lease'
kill -KILL "$keeper"
# Ourselves, before anything else.
for program in "$ASSAYD" "$(dirname "$ASSAYD")"/assayd-{worker,anchor,control}; do
	wait_for 60 records_are "event=self;kind=exe;path=$program;" = 1 "$program itself is not recorded"
done
wait_for 60 records_are 'event=self;kind=mapped;path=.*libc' -ge 1 'what assayd maps is not recorded'
wait_for 60 records_are 'event=self;kind=configuration;' = 1 'the configuration is not recorded'
digest=$(sha256sum "${drop_in:-/dev/null}" | cut -d ' ' -f 1)
[ -z "$drop_in" ] || wait_for 60 records_are "event=self;kind=drop-in;path=$drop_in;alg=sha256;digest=$digest;" = 1 'a drop-in is not recorded'
wait_for 60 records_are 'event=self;kind=policy;path=tcb;' = 1 'the policy is not recorded'
stop_assayd
wait_for 60 records_are 'event=late-again;.*;again=[1-9]' -ge 1 'that it was opened later is not recorded'
wait_for 60 records_are 'event=late-unmeasured;count=[1-9]' -ge 1 'what was never measured is not recorded'
