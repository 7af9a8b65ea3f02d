#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""silent_fuse.py MOUNTPOINT lookup|open|opendir|read|write|each-write|flush|none [STALL]: a FUSE filesystem with one executable file, "file",
others, "f0" and on, and folders, "d0" and on, whose server never answers the first LOOKUP (the kernel remembers none, then), OPEN,
OPENDIR, READ, FLUSH or what writes a file back, nor anything after it (each-write: it does); with STALL, not before that file is
there."""
import ctypes
import os
import signal
import stat
import struct
import sys
import time

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FLUSH, INIT = 1, 2, 3, 4, 14, 15, 16, 17, 18, 25, 26
OPENDIR, BATCH_FORGET = 27, 42
WRITEBACK_CACHE = 1 << 16
KINDS = {'lookup': {LOOKUP, GETATTR}, 'open': {OPEN}, 'opendir': {OPENDIR}, 'read': {READ}, 'write': {WRITE, SETATTR},
         'each-write': {WRITE, SETATTR}, 'flush': {FLUSH}, 'none': set()}
SIZE, FOLDERS = 8192, 1 << 20  # nodes from there on
remembered = 3600


def attributes(node):
    mode, size = (stat.S_IFDIR | 0o755, 0) if node == 1 or node >= FOLDERS else (stat.S_IFREG | 0o777, SIZE)
    return struct.pack('<6Q10I', node, size, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(opcode, node, body, flags):
    """The reply's body, or an error number; None: there is none."""
    if opcode == INIT:
        return struct.pack('<IIIIHHIIHHI', 7, 31, 65536, flags, 8, 8, 65536, 1, 1, 0, 0).ljust(64, b'\0')
    if opcode == GETATTR:
        return struct.pack('<QII', remembered, 0, 0) + attributes(node)
    if opcode == LOOKUP:
        name = body.rstrip(b'\0')
        if node != 1 or name != b'file' and not (name[:1] in (b'd', b'f') and name[1:].isdigit()):
            return 2
        found = 2 if name == b'file' else (FOLDERS if name[:1] == b'd' else 3) + int(name[1:])
        return struct.pack('<QQQQII', found, 0, remembered, remembered, 0, 0) + attributes(found)
    if opcode in (OPEN, OPENDIR):
        return struct.pack('<QII', 1, 0, 0)
    if opcode == READ:
        _, offset, size = struct.unpack_from('<QQI', body)
        return b'x' * max(0, min(size, SIZE - offset))
    if opcode == STATFS:
        return struct.pack('<5Q10I', 0, 0, 0, 0, 0, 4096, 255, 4096, *[0] * 7)
    if opcode in (RELEASE, FLUSH):
        return b''
    return None if opcode in (FORGET, BATCH_FORGET) else 38


def main():
    global remembered
    signal.alarm(300)  # whoever waits for it does so no longer than any test, also if that was killed
    point, silent = sys.argv[1], KINDS[sys.argv[2]]
    remembered = 0 if sys.argv[2] == 'lookup' else 3600
    flags = WRITEBACK_CACHE if sys.argv[2].endswith('write') else 0
    stall = sys.argv[3] if len(sys.argv) > 3 else '/'
    device = os.open('/dev/fuse', os.O_RDWR)
    options = f'fd={device},rootmode=40000,user_id=0,group_id=0,allow_other'.encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b'silent', point.encode(), b'fuse', 0, options) < 0:
        sys.exit(f'cannot mount FUSE: {os.strerror(ctypes.get_errno())}')
    print('mounted', flush=True)
    while True:
        request = os.read(device, 1 << 20)
        _, opcode, unique, node = struct.unpack_from('<IIQQ', request)
        if opcode in silent and os.path.exists(stall):
            if sys.argv[2] != 'each-write':
                break
            continue
        reply = answer(opcode, node, request[40:], flags)
        if reply is not None:
            error = -reply if isinstance(reply, int) else 0
            body = b'' if error else reply
            os.write(device, struct.pack('<IiQ', 16 + len(body), error, unique) + body)
    print('silent', flush=True)
    while True:
        time.sleep(3600)


main()
