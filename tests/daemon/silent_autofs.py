#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""silent_autofs.py MOUNTPOINT direct|indirect [IMAGE EXPIRE]: an automounter that answers nobody. With IMAGE it has mounted that there
already; once the file EXPIRE is there it wants to unmount it, and the kernel has whoever goes there wait for its word."""
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

AUTOFS_IOC_EXPIRE_DIRECT, IMMEDIATELY = 0x40049366, 1


def expire(root):
    fcntl.ioctl(root, AUTOFS_IOC_EXPIRE_DIRECT, IMMEDIATELY.to_bytes(4, sys.byteorder))


def main():
    signal.alarm(300)  # whoever waits for it does so no longer than any test, also if that was killed
    point, kind = sys.argv[1:3]
    os.setpgid(0, 0)  # whom autofs knows the automounter by
    requests, to_us = os.pipe()
    options = f'fd={to_us},pgrp={os.getpgrp()},minproto=5,maxproto=5,{kind}'.encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b'silent', point.encode(), b'autofs', 0, options) < 0:
        sys.exit(f'cannot mount autofs: {os.strerror(ctypes.get_errno())}')
    os.close(to_us)  # its end is the kernel's
    if len(sys.argv) > 3:
        root = os.open(point, os.O_RDONLY)
        subprocess.run(['mount', '-o', 'loop', sys.argv[3], point], check=True)
    print('mounted', flush=True)
    if len(sys.argv) > 4:
        while not os.path.exists(sys.argv[4]):
            time.sleep(0.05)
        threading.Thread(target=expire, args=[root], daemon=True).start()
    os.read(requests, 4096)
    print('silent', flush=True)
    while True:
        time.sleep(3600)


main()
