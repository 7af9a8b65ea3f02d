#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Twenty upgrades in a row under load: every opener gets its answer, and in time; every file that was opened is
# in the list, which replays to the TPM; no descriptor is left over. And an upgrade to a program that does not do
# leaves all as it was. Decision 0048.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
need setpriv jq
daemon_test mount=256M tpm
chmod 711 "$SCRATCH"
upgrade_begin

UPGRADES=${ASSAY_UPGRADES:-20}
BOUND_MS=20000 # no opener waits longer; sanitizers and a loaded machine included
mkdir "$MNT/load"
chmod 777 "$MNT/load"
cp "$BRIEF" "$MNT/brief"
cp "$STEADY" "$SCRATCH/steady"
chmod 755 "$MNT" "$MNT/brief" "$SCRATCH/steady"

# upgrade STATUS: and the daemon's pid is that of the one that is there then.
upgrade() {
	expect "$1" timeout 100 "$ASSAY" upgrade --control "$CONTROL"
	DAEMON=$(status handover.pid)
}

descriptors() {
	find "/proc/$DAEMON/fd" -mindepth 1 | wc -l
}

# Those of before are no jobs of ours once one has taken over.
end_daemon() {
	kill -TERM "$DAEMON"
	wait_for 30 has_ended "$DAEMON"
}

# filters: of the spawner; each upgrade's is started by the one before. Older kernels do not count.
filters() {
	awk '$1 == "Seccomp_filters:" { print $2 }' "/proc/$(pgrep -P "$DAEMON" | head -n 1)/status"
}

# ---- twenty in a row ---------------------------------------------------------------------------------
start_assayd
first=$DAEMON
first_filters=$(filters)
load() { # FILE ARGUMENT
	background setpriv --reuid=65534 --regid=65534 --clear-groups "$SCRATCH/steady" "$MNT/load" "$SCRATCH/stop" "$2" >"$1"
}
load "$SCRATCH/reads" 4
reads=$PID
load "$SCRATCH/executes" "$MNT/brief"
executes=$PID
wait_for 20 test -e "$MNT/load/3-20"
for ((i = 1; i <= UPGRADES; i++)); do
	install_assayd "$INSTALLED"
	before=$DAEMON
	upgrade 0
	[ "$DAEMON" != "$before" ] || fail "upgrade $i: it is the same process"
	wait_for 20 has_ended "$before"
	[ "$i" != 1 ] || most=$(descriptors)
done
[ "$(filters)" = "$first_filters" ] || fail "the spawner has $(filters) filters, $first_filters before the upgrades"
[ "$(status handover.past)" = "$UPGRADES" ] || fail 'hand-overs are not counted'
guard "$DAEMON"
wait_for 20 status_is events.held 0
touch "$SCRATCH/stop"
wait "$reads" "$executes" || fail 'who opens gave up'
cat "$SCRATCH/reads" "$SCRATCH/executes" >"$SCRATCH/load"
wait_for 20 status_is events.held 0
now=$(descriptors)
[ "$now" -le $((most + 4)) ] || fail "$now descriptors after $UPGRADES upgrades, $most after one: $(ls -l "/proc/$DAEMON/fd")"

grep -v '^ok ' "$SCRATCH/load" >"$SCRATCH/refused" || true
[ ! -s "$SCRATCH/refused" ] || fail "$(wc -l <"$SCRATCH/refused") were refused: $(head -n 3 "$SCRATCH/refused")"
n=$(wc -l <"$SCRATCH/load")
longest=$(sort -k 2 -n "$SCRATCH/load" | tail -n 1 | cut -d ' ' -f 2)
[ "${longest%.*}" -lt $BOUND_MS ] || fail "an opener waited $longest ms"
state_texts >"$SCRATCH/states"
echo "$n files in $UPGRADES upgrades; the longest wait $longest ms; held back for (ms): $(
	sed -n 's/.*event=takeover;.*held_ms=\([0-9]*\).*/\1/p' "$SCRATCH/states" | sort -n | tr '\n' ' ')"

# Each file, with its content.
entries | cut -d ' ' -f 4,5 | sort -u >"$SCRATCH/measured"
find "$MNT/load" -type f -exec sha256sum {} + | sed 's/^\([0-9a-f]*\)  /sha256:\1 /' | sort >"$SCRATCH/made"
cut -d ' ' -f 3 "$SCRATCH/load" | sort >"$SCRATCH/opened"
cut -d ' ' -f 2 "$SCRATCH/made" | sort | comm -13 - "$SCRATCH/opened" >"$SCRATCH/strange"
[ ! -s "$SCRATCH/strange" ] || fail 'files that were opened are gone'
comm -23 "$SCRATCH/made" "$SCRATCH/measured" >"$SCRATCH/missing"
[ ! -s "$SCRATCH/missing" ] || fail "$(wc -l <"$SCRATCH/missing") of $n files are not measured: $(head -n 3 "$SCRATCH/missing")"

# One unbroken history: each one ends where the next begins, and what that is made of is said first.
grep -o 'event=\(start\|stop\|handover\|takeover\|deadline\|overflow\|handover_failed\|recovery\)' "$SCRATCH/states" |
	sed 's/event=//' | tr '\n' ' ' >"$SCRATCH/history"
want='start '
for ((i = 1; i <= UPGRADES; i++)); do want+='handover start takeover '; done
[ "$(cat "$SCRATCH/history")" = "$want" ] || fail "the history is: $(cat "$SCRATCH/history")"
[ "$(grep -c 'event=start;.*last=handed-over' "$SCRATCH/states")" = "$UPGRADES" ] || fail 'a start does not say whom it follows'
[ "$(grep -c 'event=self;kind=exe' "$SCRATCH/states")" -ge $((UPGRADES + 1)) ] || fail 'not each says what it is'
need_proved
expect_text "$OUT" "hand-overs from one assayd to the next: $UPGRADES\$"
expect 0 "$ASSAY" log verify --pcrs "$SCRATCH/pcrs" --ignore-violations --json "$(newest)"
[ "$(jq -c .handovers <<<"$OUT")" = "{\"done\":$UPGRADES,\"unfinished\":0}" ] || fail "log verify says of hand-overs: $OUT"

# ---- what does not do ----------------------------------------------------------------------------------
# refused FILE PATTERN: it is tried, this one goes on, and says why.
refused() {
	local before=$DAEMON
	install_assayd "$1"
	upgrade 1
	[ "$DAEMON" = "$before" ] || fail "'$1' has taken over"
	expect_text "$ERR" "$2"
	install_assayd "$INSTALLED"
	date +%N >"$MNT/after-${1##*/}"
	timeout $PATIENCE cat "$MNT/after-${1##*/}" >/dev/null || fail "nobody answers after '$1'"
	need_measured "$MNT/after-${1##*/}" 1
}
printf '#!/bin/sh\nexit 1\n' >"$SCRATCH/ends"
printf '#!/bin/sh\nexec sleep 1000\n' >"$SCRATCH/hangs"
head -c 4096 "$INSTALLED" >"$SCRATCH/broken"
chmod 755 "$SCRATCH/ends" "$SCRATCH/hangs" "$SCRATCH/broken"
refused "$SCRATCH/ends" 'goes on: the new one ended'
refused "$SCRATCH/broken" 'goes on: the new one ended'
rm "$ASSAYD"
upgrade 1
install_assayd "$INSTALLED"
echo 'there is no such key = 1' >>"$CONF"
upgrade 1
expect_text "$ERR" 'the new one says:.*assayd.conf'
sed -i '$d' "$CONF"
[ "$(status handover.failed)" = 4 ] || fail 'failures are not counted'
wait_for 60 records_are 'event=handover_failed' = 4 'failures are not in the list'
upgrade 0
need_proved
end_daemon
[ "$(state_texts | tail -n 1 | grep -c 'event=stop;why=asked')" = 1 ] || fail 'it did not end in order'
[ "$first" != "$DAEMON" ] || fail 'nothing was handed over'

# ---- list and anchor on what is watched ------------------------------------------------------------------
# To its end the old one's anchor opens files there, while everybody else is held back.
LIST=$MNT/list
mkdir "$MNT/anchor"
start_assayd "list_dir=$LIST" anchor=soft "soft_anchor_dir=$MNT/anchor"
echo new >"$MNT/soft"
timeout $PATIENCE cat "$MNT/soft" >/dev/null
upgrade 0
guard "$DAEMON"
wait_for 60 records_are "event=takeover;.*lost=0" = 1 "the anchor waited for its own opener, or nothing was handed over"
end_daemon

# ---- a TPM that has no rest ------------------------------------------------------------------------------
# What is written when it is asked for is waited for, and not what a dozen others write in each moment.
LIST=$SCRATCH/list-busy
mkdir "$MNT/busy"
chmod 777 "$MNT/busy"
delay_begin 50000
start_assayd anchor_mode=each
rm "$SCRATCH/stop"
background setpriv --reuid=65534 --regid=65534 --clear-groups "$SCRATCH/steady" "$MNT/busy" "$SCRATCH/stop" 12 >"$SCRATCH/busy"
reads=$PID
wait_for 20 test -e "$MNT/busy/3-5"
upgrade 0
guard "$DAEMON"
touch "$SCRATCH/stop"
wait "$reads" || fail 'who opens gave up'
end_daemon
