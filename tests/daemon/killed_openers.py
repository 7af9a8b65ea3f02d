#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""killed_openers.py SERVED VICTIMS COUNT: as root, which becomes a user with all the groups that there can be: so that the
kernel takes long to say who he is. Each of COUNT processes maps SERVED/fN for writing, dirties it, opens VICTIMS/N and is
killed at once, while somebody may be looking at it; SERVED's server writes nothing back."""
import mmap
import os
import random
import signal
import sys
import time

SERVED, VICTIMS, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.setgroups(range(1, 65537))
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
for i in range(COUNT):
    said, says = os.pipe()
    child = os.fork()
    if child == 0:
        page = mmap.mmap(os.open(f'{SERVED}/f{i}', os.O_RDWR), 4096, mmap.MAP_SHARED)
        page[0:1] = b'y'
        os.write(says, b'x')
        os.open(f'{VICTIMS}/{i}', os.O_RDONLY)
        os._exit(0)
    os.read(said, 1)
    time.sleep(random.uniform(0.0005, 0.0035))
    os.kill(child, signal.SIGKILL)
    os.close(said)
    os.close(says)
    time.sleep(0.1)
    print('killed', flush=True)
