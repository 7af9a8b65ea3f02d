#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""exec_holder.py FILE [GO]: writes to a mapping of FILE and executes another program; with GO, as soon as that is there. If
FILE is on a FUSE filesystem whose server does not answer WRITE, that exec waits for it, and so does whoever looks at this
process in /proc."""
import mmap
import os
import sys
import time

file = os.open(sys.argv[1], os.O_RDWR)
memory = mmap.mmap(file, mmap.PAGESIZE)
memory[0:1] = b'y'
while len(sys.argv) > 2 and not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
os.execv('/bin/sleep', ['sleep', '300'])
