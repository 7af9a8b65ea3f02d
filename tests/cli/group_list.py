#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A measurement list with batch records, made from docs/formats/ alone, not from assay's code.

group_list.py FLAT ANCHORED PCRS [kernel-first]: writes both forms of one list, and "BANK INDEX HEX"
lines; with kernel-first the kernel extends before the first batch record does. With segment in that
place, FLAT is a segment file whose PCRs began at other values than zero.
"""

import hashlib
import struct
import sys

BANKS = (('sha1', 0x0004), ('sha256', 0x000b))


def field(data):
    return struct.pack('<I', len(data)) + data


class List:
    def __init__(self):
        self.flat = self.anchored = b''
        self.index = self.batches = 0
        self.waiting = {}
        self.pcrs = {}
        self.base = {}

    def entry(self, pcr, template, data, step, violation=False):
        digest = bytes(20) if violation else hashlib.sha1(data).digest()
        record = struct.pack('<I', pcr) + digest + field(template) + field(data)
        self.flat += record
        if step:
            self.anchored += record
            for bank, _ in BANKS:
                size = hashlib.new(bank).digest_size
                old = self.pcrs.get((bank, pcr), self.base.get((bank, pcr), bytes(size)))
                new = b'\xff' * size if violation else hashlib.new(bank, data).digest()
                self.pcrs[bank, pcr] = hashlib.new(bank, old + new).digest()
        else:
            self.waiting.setdefault(pcr, []).append((self.index, template, violation, data))
        self.index += 1

    def file(self, pcr, name, step, violation=False):
        # PCR 0 to 9 of a TPM that no firmware has extended, for the boot_aggregate.
        content = bytes(320) if name == b'boot_aggregate' else name
        digest = bytes(32) if violation else hashlib.sha256(content).digest()
        data = field(b'sha256:\0' + digest) + field(name + b'\0')
        self.entry(pcr, b'ima-ng', data, step, violation)

    def buffer(self, pcr, name, buf, step):
        data = field(b'sha256:\0' + hashlib.sha256(buf).digest()) + field(name + b'\0') + field(buf)
        self.entry(pcr, b'ima-buf', data, step)

    def state(self, text, step):
        self.buffer(10, b'assay-state', text, step)

    def batch(self, pcr):
        covered = self.waiting.pop(pcr)
        self.batches += 1
        buf = b'ABAT' + struct.pack('<HHQQQ', 1, len(BANKS), self.batches, covered[0][0], len(covered))
        for bank, alg in BANKS:
            h = hashlib.new(bank)
            for _, template, violation, data in covered:
                h.update(struct.pack('<I', pcr) + field(template) + bytes([violation]) + field(data))
            buf += struct.pack('<HH', alg, h.digest_size) + h.digest()
        self.buffer(pcr, b'assay-batch', buf, True)

    def segment(self):
        commit = struct.pack('<QQ', len(self.flat), 0) + bytes(range(16))
        return HEAD + commit.ljust(4096, b'\0') + self.flat + b'rest'


def segment_head():
    """docs/formats/segment.md"""
    head = b'ASSAYSEG' + struct.pack('<HHIQQ', 1, 2, len(BANKS), 3, 1) + bytes(range(16))
    head += hashlib.sha256(b'before').digest() + struct.pack('<QQIIB7x', 6, 1000, 1, 2, 1)
    head += b''.join(struct.pack('<H', alg) for _, alg in BANKS).ljust(16, b'\0')
    for pcr in range(24):
        for i in range(8):
            value = BASE.get((BANKS[i][0], pcr), b'') if i < len(BANKS) else b''
            head += value.ljust(64, b'\0')
    head = head.ljust(20448, b'\0')
    return head + hashlib.sha256(head).digest()


BASE = {(bank, pcr): hashlib.new(bank, b'base %d' % pcr).digest() for bank, _ in BANKS for pcr in (10, 11, 12)}
HEAD = segment_head()


def main():
    option = sys.argv[4] if len(sys.argv) > 4 else ''
    made = List()
    if option == 'segment':
        made.base = BASE
    made.file(10, b'boot_aggregate', True)
    made.state(b'v=1;event=segment;head=%s;' % HEAD[-32:].hex().encode(), True)
    made.state(b'v=1;event=mode;mode=group;', True)
    if option == 'kernel-first':
        made.state(b'v=1;event=kernel;count=1;', False)
        made.file(10, b'/kernel/module-0.ko', True)
    made.file(10, b'/usr/bin/bash', False)
    made.file(11, b'/usr/bin/eleven', False)
    made.file(10, b'/var/log/syslog', False, violation=True)
    made.batch(10)
    made.batch(11)
    made.file(10, b'/usr/bin/cat', False)
    made.state(b'v=1;event=kernel;count=2;', False)
    made.file(10, b'/kernel/module-1.ko', True)
    made.file(10, b'/kernel/module-2.ko', True, violation=True)
    for i in range(300):
        made.file(10, b'/usr/share/file-%d' % i, False)
    made.batch(10)
    made.state(b'v=1;event=mode;mode=each;', True)
    made.file(10, b'/usr/bin/last', True)
    for path, data in zip(sys.argv[1:3], (made.segment() if option == 'segment' else made.flat, made.anchored)):
        with open(path, 'wb') as f:
            f.write(data)
    with open(sys.argv[3], 'w', encoding='ascii') as f:
        for (bank, pcr), value in sorted(made.pcrs.items()):
            f.write(f'{bank} {pcr} {value.hex()}\n')


main()
