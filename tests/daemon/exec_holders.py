#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""exec_holders.py FILE COUNT: so many processes that execute another program while they share a mapping of FILE that was
written to; their numbers, one a line. If FILE is on a FUSE filesystem whose server does not answer WRITE, their exec waits
for it, and so does whoever looks at them in /proc."""
import ctypes
import mmap
import os
import signal
import sys

memory = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), mmap.PAGESIZE)
memory[0:1] = b'y'
begin, go = os.pipe()
for _ in range(int(sys.argv[2])):
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: none is left behind
        os.close(go)
        os.read(begin, 1)
        os.execv('/bin/sleep', ['sleep', '300'])
    print(pid, flush=True)
os.close(go)
os.read(os.pipe()[0], 1)
