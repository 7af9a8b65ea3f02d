#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks OpenMetrics 1.0 text on the standard input, of gauges, counters, histograms and info; exit status 1 and a
line if it is not. Prints how many samples there were."""

import re
import sys

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf'({NAME})(\{{{LABEL}(?:,{LABEL})*\}})? (-?[0-9]+(?:\.[0-9]+)?)')
HEAD = re.compile(rf'# (TYPE|HELP|UNIT) ({NAME}) (.+)')
SUFFIX = {'gauge': ('',), 'counter': ('_total',), 'info': ('_info',), 'histogram': ('_bucket', '_count', '_sum')}


def check(text):
    if not text.endswith('# EOF\n'):
        return 'it does not end with # EOF'
    family, types, helped, seen = None, {}, set(), set()
    for line in text[:-len('# EOF\n')].splitlines():
        head, sample = HEAD.fullmatch(line), SAMPLE.fullmatch(line)
        if head and head[1] == 'TYPE':
            family = head[2]
            if family in types or head[3] not in SUFFIX:
                return f'type given twice, or unknown: {line}'
            types[family] = head[3]
        elif head and (head[2] != family or (head[1], family) in helped):
            return f'not of the metric before, or given twice: {line}'
        elif head:
            helped.add((head[1], family))
        elif not sample:
            return f'neither a head nor a sample: {line}'
        elif family is None or sample[1] not in [family + s for s in SUFFIX[types[family]]]:
            return f'a sample of another metric: {line}'
        elif (sample[1], sample[2]) in seen:
            return f'a sample given twice: {line}'
        elif types[family] == 'counter' and sample[3].startswith('-'):
            return f'a counter below 0: {line}'
        else:
            seen.add((sample[1], sample[2]))
    print(len(seen))
    return None


fault = check(sys.stdin.read())
if fault:
    sys.exit(fault)
