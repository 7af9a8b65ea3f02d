#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""hang_account.py ENTRIES OPENED...: what opener printed (OPENED) against the text of the list (ENTRIES). Each
file that could be opened has a record, or a gap record names it, or is among those that gap records count."""
import re
import sys


def unescape(text):
    return re.sub(r'\\x([0-9a-f]{2})', lambda m: chr(int(m[1], 16)), text)


def read_list(name):
    """The paths that have records, those that a gap names, and how many gaps only count."""
    measured, late, counted, lost = set(), set(), 0, 0
    for line in open(name, errors='replace'):
        fields = line.rstrip('\n').split(' ', 4)
        if fields[2] == 'ima-ng':
            measured.add(fields[4])
        elif 'assay-state' in line:
            text = bytes.fromhex(line.split()[5]).decode(errors='replace')
            state = dict(f.split('=', 1) for f in text.split(';') if '=' in f)
            if state.get('event') in ('deadline', 'too-large', 'list-resumed', 'overflow'):
                if 'path' in state:
                    late.add(unescape(state['path']))
                counted += int(state.get('count', 0))
                lost = max(lost, int(state.get('lost', 0))) # since the start of assayd
                # A name that did not fit: it stands for one.
                counted += state['event'] in ('deadline', 'too-large') and 'path' not in state and 'count' not in state
    return measured, late, counted + lost


def main():
    measured, late, counted = read_list(sys.argv[1])
    opened = set()
    for name in sys.argv[2:]:
        for line in open(name):
            result, _, path = line.rstrip('\n').split(' ', 2)
            if result == 'ok':
                opened.add(path)
    missing = opened - measured - late
    print(f'{len(opened)} files were opened: {len(opened & measured)} are in the list, {len(late & opened)} have '
          f'gap records, {len(missing)} are among {counted} that were counted')
    if len(missing) > counted:
        sys.exit(f'in no record: {sorted(missing)[:5]}')


main()
