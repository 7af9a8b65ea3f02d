#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""holes.py TRICK FILE: opens, runs, maps or changes FILE in a way that fanotify may not see. Exits 77 if this kernel does
not know it."""
import ctypes
import mmap
import os
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
OPENAT2, IO_URING_SETUP, IO_URING_ENTER = 437, 425, 426
AT_FDCWD = -100


def syscall(*args):
    r = libc.syscall(*args)
    if r < 0:
        error = ctypes.get_errno()
        sys.exit(77 if error in (1, 38) else f'{os.strerror(error)} in system call {args[0]}')
    return r


def openat2(path):
    how = struct.pack('<QQQ', os.O_RDONLY, 0, 0)
    os.close(syscall(OPENAT2, AT_FDCWD, path.encode(), how, len(how)))


def io_uring(path):
    params = bytearray(120)
    held = (ctypes.c_char * 120).from_buffer(params)
    ring = syscall(IO_URING_SETUP, 1, held)
    sq, cq = struct.unpack_from('<10I', params, 40), struct.unpack_from('<10I', params, 80)
    rings = mmap.mmap(ring, 4096, offset=0)
    completions = mmap.mmap(ring, 4096, offset=0x8000000)
    entries = mmap.mmap(ring, 4096, offset=0x10000000)
    name = ctypes.create_string_buffer(path.encode())
    # OPENAT: opcode, flags, priority, descriptor, offset, address, mode, flags of the open, what comes back
    struct.pack_into('<BBHiQQIIQ', entries, 0, 18, 0, 0, AT_FDCWD, 0, ctypes.addressof(name), 0, os.O_RDONLY, 1)
    struct.pack_into('<I', rings, sq[6], 0)  # the array's first
    struct.pack_into('<I', rings, sq[1], 1)  # the tail
    syscall(IO_URING_ENTER, ring, 1, 1, 1, None, 0)
    result = struct.unpack_from('<i', completions, cq[5] + 8)[0]
    if result < 0:
        sys.exit(f'{os.strerror(-result)} through io_uring')


def handle(path):
    class Handle(ctypes.Structure):
        _fields_ = [('size', ctypes.c_uint), ('type', ctypes.c_int), ('data', ctypes.c_ubyte * 128)]
    h, mount = Handle(size=128), ctypes.c_int()
    if libc.name_to_handle_at(AT_FDCWD, path.encode(), ctypes.byref(h), ctypes.byref(mount), 0) < 0:
        sys.exit(77)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    if libc.open_by_handle_at(folder, ctypes.byref(h), os.O_RDONLY) < 0:
        sys.exit('open_by_handle_at')


def path_only(path):
    fd = os.open(path, os.O_PATH)
    os.execve(fd, [path], {})


def path_again(path):
    fd = os.open(path, os.O_PATH)
    os.close(os.open(f'/proc/self/fd/{fd}', os.O_RDONLY))


def memfd(path):
    fd = os.memfd_create('nobody-sees-me', os.MFD_CLOEXEC)
    os.write(fd, open(path, 'rb').read())
    os.execve(fd, [path], {})


def mapped(path):
    fd = os.open(path, os.O_RDONLY)
    mmap.mmap(fd, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)


def shared(path):
    """For writing, when the kernel answers for the file by itself."""
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, os.fstat(fd).st_size) as m:
        m[0:6] = b'STORED'
        m.flush()
    os.close(fd)


globals()[sys.argv[1]](sys.argv[2])
