#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""held_exec.py FILE VICTIM GO: maps FILE, dirties it and opens VICTIM; as soon as GO is there, another thread executes
something else, so that the opener is killed and its number is the other's, which hangs in its exec until FILE's server
has written the page back. Nobody gets at what the kernel guards by exec_update_lock meanwhile."""
import mmap
import os
import sys
import threading
import time

PAGE = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 4096, mmap.MAP_SHARED)


def execute():
    while not os.path.exists(sys.argv[3]):
        time.sleep(0.01)
    print('executes', flush=True)
    os.execv('/bin/sleep', ['sleep', '60'])


PAGE[0:1] = b'y'
threading.Thread(target=execute, daemon=True).start()
print('opens', flush=True)
os.open(sys.argv[2], os.O_RDONLY)
