#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# "./demo.sh --hardware-tpm" as it is, on a machine with a TPM of its own whose kernel has extended PCR 10 already: it
# warns, and to type Ctrl-C then changes nothing; it shows what it promises, and a second one does, behind what is
# left of the first in PCR 10; whether it ends by itself or by Ctrl-C when all runs, nothing is left but that. The disk
# has this tree, built, and what demo.sh wants to be installed (make_demo_disk of test_vm.sh), so that it does nothing but
# show. It has three minutes on a machine that is not emulated; what it took here is said.
. ./lib.sh
TPM=/sys/class/tpm/tpm0 SEEN=/run/seen
mkdir -p $SEEN /dev/pts
mount -t devpts devpts /dev/pts
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd # as udev does
cd /src/assay

pcr10() {
	cat $TPM/pcr-*/10
}

# handles: in the TPM itself, behind the resource manager's back.
handles() {
	local kind
	for kind in transient loaded-session saved-session persistent nv-index; do
		tpm2_getcap -T device:/dev/tpm0 "handles-$kind" | sed "s/^/$kind /" || fail 'the TPM does not answer'
	done
}

# What somebody else could find: files, regular ones with their times, processes, mounts, handles, modules.
snapshot() {
	set -- "$1" /proc/[0-9]* # before there are some that look
	mkdir -p "$SEEN/$1"
	find / /run /dev /dev/shm /sys/fs/cgroup -xdev -path $SEEN -prune -o -type f -printf '%y %p %m %U:%G %s %T@\n' \
		-o -printf '%y %p %m %U:%G\n' | sort >"$SEEN/$1/files"
	for process in "${@:2}"; do
		words=$(tr '\0' ' ' <"$process/cmdline") && [ -z "$words" ] || echo "$process $words" # not the kernel's
	done >"$SEEN/$1/processes" 2>/dev/null
	cut -d ' ' -f 3- /proc/self/mountinfo >"$SEEN/$1/mounts"
	handles >"$SEEN/$1/handles"
	cut -d ' ' -f 1 /proc/modules >"$SEEN/$1/modules"
}

# need_no_trace WHEN: all is as it was.
need_no_trace() {
	snapshot now
	diff -r $SEEN/before $SEEN/now >$SEEN/diff || fail "$1, something is left: $(head -n 20 $SEEN/diff)"
}

# demo [WORDS [PROGRAM]]: on a terminal of its own, as somebody types it, with Ctrl-C when it has said the words (and
# runs the program); what it said is in $SEEN/demo.
demo() {
	STATUS=0 BEGAN=$SECONDS
	python3 -B - "$SEEN/demo" "$@" <<-'EOF' || STATUS=$?
		import os, pty, re, sys, time
		pid, terminal = pty.fork()
		if pid == 0:
		    os.execv('./demo.sh', ['./demo.sh', '--hardware-tpm'])
		def runs(name):
		    with open(f'/proc/{pid}/task/{pid}/children') as f:
		        for child in f.read().split():
		            try:
		                with open(f'/proc/{child}/comm') as f:
		                    if f.read() == name + '\n':
		                        return True
		            except OSError:
		                pass
		said, end = b'', None
		while True:
		    try:
		        said += os.read(terminal, 4096)
		    except OSError:
		        break
		    if end is None and len(sys.argv) > 2 and sys.argv[2].encode() in said:
		        while len(sys.argv) > 3 and not runs(sys.argv[3]):
		            time.sleep(0.005)
		        os.write(terminal, b'\x03')
		        end = time.monotonic()
		status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
		with open(sys.argv[1], 'wb') as f:
		    f.write(re.sub(rb'\r|\x1b\[\d*m', b'', said)) # on a terminal it is bold in places
		if end is not None:
		    print(f'ended {time.monotonic() - end:.1f} s after Ctrl-C')
		sys.exit(status)
	EOF
	TOOK=$((SECONDS - BEGAN))
}

said() {
	grep -q -E -- "$1" $SEEN/demo || fail "it does not say '$1': $(tail -n 60 $SEEN/demo)"
}

# need_shown LINE...: it has gone to its end, and has said so.
need_shown() {
	local line
	[ $STATUS = 0 ] || fail "demo.sh exits $STATUS: $(tail -n 60 $SEEN/demo)"
	for line in 'All Debian packages that it needs are installed' "This machine's own TPM\. PCR 10 will be extended; only a reboot undoes" \
		'     the quote holds' 'entry [0-9]+: template digest is not that of the data; .*/hello/jello' \
		'   Refused, and the entry is named' "nothing is changed but the TPM's PCR 10" "$@"; do
		said "$line"
	done
	[ "$(pcr10)" != "$PCR10" ] || fail 'PCR 10 is as it was'
	step "demo.sh took $TOOK s; the list has $(sed -n 's/^ *entries in the list *//p' $SEEN/demo) entries"
}

PCR10=$(pcr10)
! grep -q -x '00*' <<<"$PCR10" || fail 'the kernel has not extended PCR 10'
[ "$(kernel_count)" = 1 ] || fail "the kernel has $(kernel_count) records"
snapshot before
step "PCR 10 has the kernel's boot_aggregate; $(wc -l <$SEEN/before/handles) handles in the TPM"

demo 'Ctrl-C in the next ten seconds stops here' sleep
[ $STATUS = 130 ] || fail "Ctrl-C: demo.sh exits $STATUS: $(tail -n 20 $SEEN/demo)"
said 'interrupted: stopping what was started'
! grep -q 'It makes a key' $SEEN/demo || fail 'it went on'
[ "$(pcr10)" = "$PCR10" ] || fail 'PCR 10 was changed'
need_no_trace 'After Ctrl-C at the warning'
step 'Ctrl-C at the warning: nothing is changed'

demo
need_shown 'boot_aggregate, entry 0: agrees with PCR 0,1,2,3,4,5,6,7,8,9' '     verdict: holds$'
need_no_trace 'At its end'

PCR10=$(pcr10)
demo 'the hello world once more'
[ $STATUS = 130 ] || fail "Ctrl-C: demo.sh exits $STATUS: $(tail -n 20 $SEEN/demo)"
said 'interrupted: stopping what was started'
[ "$(pcr10)" != "$PCR10" ] || fail 'it has not measured'
need_no_trace 'After Ctrl-C while assayd measures'
step 'Ctrl-C while assayd measures: nothing is left'

PCR10=$(pcr10)
demo
need_shown '     verdict: holds from its first entry on; what its PCRs held before is not in it'
need_no_trace 'At the end of the next'
