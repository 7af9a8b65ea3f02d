#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""hang_memory.py PID: prints the proportional set size in KiB of the process and its descendants whenever it is
larger than before, until the process has ended."""
import os
import sys
import time


def parents():
    found = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                with open(f'/proc/{name}/status', errors='replace') as f:  # stat may hang: hang_exec
                    found[int(name)] = next(int(line.split()[1]) for line in f if line.startswith('PPid:'))
            except (OSError, StopIteration):
                pass
    return found


def family(root):
    parent = parents()
    found = {root}
    while True:
        more = {p for p, of in parent.items() if of in found} - found
        if not more:
            return found
        found |= more


def pss(pid):
    try:
        with open(f'/proc/{pid}/smaps_rollup') as f:
            return next(int(line.split()[1]) for line in f if line.startswith('Pss:'))
    except (OSError, StopIteration):
        return 0


def is_alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def main():
    root, most = int(sys.argv[1]), 0
    while is_alive(root):
        now = sum(pss(p) for p in family(root))
        if now > most:
            most = now
            print(most, flush=True)
        time.sleep(0.25)


main()
