#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""stalling_fuse.py MOUNTPOINT STALL [TYPE]: a FUSE filesystem with one folder, "sub", whose server answers until the file
STALL is there, and then never again (it ends when it is killed)."""
import ctypes
import os
import select
import struct
import sys
import time

LOOKUP, FORGET, GETATTR, STATFS, INIT, DESTROY, BATCH_FORGET = 1, 2, 3, 17, 26, 38, 42
DIRECTORY = 0o40755


def attributes(node):
    return struct.pack('<6Q10I', node, 0, 8, 0, 0, 0, 0, 0, 0, DIRECTORY, 2, 0, 0, 0, 4096, 0)


def answer(opcode, body):
    """The reply's body, or an error number; None: there is none."""
    if opcode == INIT:
        return struct.pack('<IIIIHHIIHHI', 7, 31, 65536, 0, 8, 8, 65536, 1, 1, 0, 0).ljust(64, b'\0')
    if opcode == GETATTR:
        return struct.pack('<QII', 0, 0, 0) + attributes(1)
    if opcode == STATFS:
        return struct.pack('<5Q10I', 0, 0, 0, 0, 0, 4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0)
    if opcode == LOOKUP:
        if body.rstrip(b'\0') != b'sub':
            return 2
        return struct.pack('<QQQQII', 2, 0, 0, 0, 0, 0) + attributes(2)
    return None if opcode in (FORGET, BATCH_FORGET, DESTROY) else 38


def main():
    point, stall, kind = (sys.argv[1:] + ['fuse'])[:3]
    device = os.open('/dev/fuse', os.O_RDWR)
    options = f'fd={device},rootmode=40000,user_id=0,group_id=0'.encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b'stalling', point.encode(), kind.encode(), 0, options) < 0:
        sys.exit(f'cannot mount FUSE: {os.strerror(ctypes.get_errno())}')
    while not os.path.exists(stall):
        if not select.select([device], [], [], 0.02)[0]:
            continue
        request = os.read(device, 1 << 20)
        _, opcode, unique = struct.unpack_from('<IIQ', request)
        reply = answer(opcode, request[40:])
        if reply is not None:
            error = -reply if isinstance(reply, int) else 0
            body = b'' if error else reply
            os.write(device, struct.pack('<IiQ', 16 + len(body), error, unique) + body)
    while True:
        time.sleep(3600)


main()
