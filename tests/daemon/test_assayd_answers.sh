#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# How long a lone opener waits, and what openers are told when their file is not measured in time: at the
# deadline, when the kernel cannot give us the file, and when assayd is stopped while its TPM is gone. The
# list says it each time.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount tpm

delay_begin 0
echo 'measure func=FILE_CHECK mask=^MAY_READ' >"$SCRATCH/policy"

now_ms() {
	date +%s%3N
}

all_anchored() {
	[ "$(status list.anchored)" = "$(status list.records)" ]
}

# opens FILE: "ok", or the name of the error, and how many ms it took.
opens() {
	python3 - "$1" <<-'EOP'
		import errno, sys, time
		t = time.monotonic()
		try:
		    open(sys.argv[1]).close()
		    what = 'ok'
		except OSError as e:
		    what = errno.errorcode[e.errno]
		print(what, int((time.monotonic() - t) * 1000))
	EOP
}

# audited NAME CAUSE RES: there is an audit record of it.
audited() {
	"$ASSAY" audit --control "$CONTROL" --json --path "$MNT/$1" |
		grep -q "\"op\":\"deadline\",\"cause\":\"$2\",\"res\":$3,.*\"name\":\"$MNT/$1\""
}

# ---- alone -----------------------------------------------------------------------------------------------
# Who opens a file while nobody else does waits for no pause: each of these would take 100 ms. One of them shows it.
LIST=$SCRATCH/list-alone
start_assayd "policy=$SCRATCH/policy" gather_us=100000
least=100000
for ((i = 0; i < 200 && least >= 90; i++)); do
	echo "$i" >"$MNT/alone-$i"
	read -r what took < <(opens "$MNT/alone-$i")
	[ "$what" = ok ] || fail "a lone opener is refused: $what"
	[ "$took" -ge "$least" ] || least=$took
done
echo "a lone opener waits for $least ms or more"
[ "$least" -lt 90 ] || fail "a lone opener waits for the pause"
stop_assayd

# ---- the deadline ----------------------------------------------------------------------------------------
long=30000 # who is not answered waits for more
for answer in deny allow; do
	LIST=$SCRATCH/list-$answer
	start_assayd "policy=$SCRATCH/policy" deadline_ms=400 deadline_answer=$answer tpm_timeout_ms=100000
	kill -STOP "$DELAY_PID"
	echo slow >"$MNT/slow-$answer"
	read -r what took < <(opens "$MNT/slow-$answer")
	echo "deadline_answer=$answer: $what after $took ms"
	[ "$answer $what" = 'deny EPERM' ] || [ "$answer $what" = 'allow ok' ] || fail "$answer gives $what"
	[ "$took" -ge 395 ] && [ "$took" -lt $long ] || fail "the deadline of 400 ms is after $took ms"
	kill -CONT "$DELAY_PID"
	wait_for 10 status_is events.deadlines 1
	wait_for 60 records_are "event=deadline;path=$MNT/slow-$answer;" = 1 "$answer: the gap is not in the list"
	[ $answer = allow ] && res=1 || res=0
	wait_for 60 audited "slow-$answer" deadline_ms $res
	# Nothing is lost: once the extend is done the next open is as ever, and the file's record stands.
	wait_for 10 all_anchored
	read -r what took < <(opens "$MNT/slow-$answer")
	[ "$what" = ok ] || fail "a measured file is refused: $what"
	need_measured "$MNT/slow-$answer" 1
	need_proved
	stop_assayd
done

# ---- too large -------------------------------------------------------------------------------------------
# What its opener is told has nothing to do with what others are told at the deadline.
for what in 'allow deny 0' 'deny allow 1' 'deny measure-late 1'; do
	read -r answer large res <<<"$what"
	LIST=$SCRATCH/list-large-$large
	start_assayd "policy=$SCRATCH/policy" max_file_size_mib=1 deadline_answer=$answer too_large=$large
	truncate -s 2M "$MNT/large-$large"
	read -r told _ < <(opens "$MNT/large-$large")
	[ "$res $told" = '0 EPERM' ] || [ "$res $told" = '1 ok' ] || fail "too_large=$large gives $told"
	wait_for 60 audited "large-$large" too_large $res
	stop_assayd
done

# ---- refused by the kernel -----------------------------------------------------------------------------------
# Files under write leases cannot be opened for us; others come in between, so that both are in one read.
# O_NONBLOCK: who is let through all the same does not wait for the lease.
LIST=$SCRATCH/list-refused
start_assayd "policy=$SCRATCH/policy" workers=1
refused=$(python3 - "$MNT" <<-'EOF'
	import errno, fcntl, os, signal, sys, threading, time
	signal.signal(signal.SIGIO, signal.SIG_IGN)
	names = ['%s/leased-%d' % (sys.argv[1], i) for i in range(40)]
	held = []
	for i, name in enumerate(names):
	    fd = os.open(name, os.O_RDWR | os.O_CREAT)
	    if i % 2:
	        while fd not in held:
	            try:
	                fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
	                held.append(fd)
	            except BlockingIOError: # assayd has not let go of it yet
	                time.sleep(0.01)
	    else:
	        os.close(fd)
	refused, lock, go = [], threading.Lock(), threading.Barrier(len(names))
	def run(name):
	    go.wait()
	    try:
	        os.close(os.open(name, os.O_RDONLY | os.O_NONBLOCK))
	    except OSError as e:
	        with lock: refused.append(e.errno)
	threads = [threading.Thread(target=run, args=(n,)) for n in names]
	for t in threads: t.start()
	for t in threads: t.join()
	print(refused.count(errno.EPERM))
	EOF
)
[ "$refused" -ge 20 ] || fail "only $refused opens were refused"
[ "$(status events.refused)" = "$refused" ] || fail "$refused opens were refused, status says $(status events.refused)"
stop_assayd

# ---- the end while the TPM is gone -----------------------------------------------------------------------------
# how=stopped: it takes a command and never answers; how=killed: nobody is there.
for how in stopped killed; do
	LIST=$SCRATCH/list-$how
	[ $how = stopped ] && answer=allow || answer=deny
	start_assayd "policy=$SCRATCH/policy" tpm_timeout_ms=1500 deadline_ms=60000 deadline_answer=$answer
	echo $how >"$MNT/$how"
	if [ $how = stopped ]; then kill -STOP "$SWTPM_PID" "$DELAY_PID"; else kill -KILL "$DELAY_PID"; fi
	opens "$MNT/$how" >"$SCRATCH/told" &
	opener=$!
	wait_for 10 status_is events.held 1
	[ $how = stopped ] || wait_for 20 log_says 'the list still waits'
	began=$(now_ms)
	kill -TERM "$DAEMON"
	wait "$opener"
	opener_ms=$(($(now_ms) - began))
	wait "$DAEMON" || fail "assayd exits $?"
	ms=$(($(now_ms) - began))
	kill -KILL "$GUARD"
	read -r what took <"$SCRATCH/told"
	echo "TPM $how: the opener is told '$what' after $opener_ms ms, assayd has ended after $ms ms"
	[ "$answer $what" = 'deny EPERM' ] || [ "$answer $what" = 'allow ok' ] || fail "$answer gives $what"
	[ $opener_ms -lt $long ] || fail "the opener waits $opener_ms ms"
	[ $ms -lt $long ] || fail "assayd takes $ms ms to end"
	wait_for 60 records_are "event=deadline;path=$MNT/$how;waited_ms=[0-9]*;why=stop;" = 1 'the gap is not in the list'
	wait_for 60 records_are 'event=stop;' = 1 'the stop is not in the list'
	[ $how = killed ] || kill -CONT "$SWTPM_PID" "$DELAY_PID"
done

# What was not extended is, at the next start.
LIST=$SCRATCH/list-stopped TCTI=$TCTI_BEHIND
start_assayd "policy=$SCRATCH/policy"
need_measured "$MNT/stopped" 1
need_proved
stop_assayd
