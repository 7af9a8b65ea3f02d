#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# Stands where the new assayd is installed, and takes over as far as the word in the file $0.step says; then it
# ends, or with "hang" behind it does nothing any more. docs/formats/handover.md
import array, os, socket, struct, sys, time

OFFER, DONE, LIST, GROUP, EVENTS, GO = 1, 2, 3, 4, 5, 6
HELLO, EXEMPT, READY, ANCHORED, TAKEN = 32, 33, 34, 35, 36
step, how = (open(sys.argv[0] + '.step').read().split() + [''])[:2]
s = socket.socket(fileno=3)

def say(kind, number=0, body=b''):
    s.send(struct.pack('<IIQ', kind, len(body), number) + body)

def hear(kind):
    data, ancillary, _, _ = s.recvmsg(16384, socket.CMSG_SPACE(32 * 4))
    got = struct.unpack('<IIQ', data[:16])[0] if data else 0
    if got != kind:
        sys.exit('%d in place of %d' % (got, kind))
    return data[16:]

def reached(word):
    if step != word:
        return
    open(sys.argv[0] + '.reached', 'w').write(word)
    while how == 'hang':
        time.sleep(60)
    sys.exit(1)

hear(OFFER)
reached('offer')
if step == 'lie':
    say(TAKEN)
say(HELLO, 1, struct.pack('<I', 4096))
if step == 'order':
    say(ANCHORED)
    hear(LIST)
say(READY)
if step == 'list':
    open(sys.argv[0] + '.ready', 'w').close()
hear(LIST)
reached('list')
say(ANCHORED)
waiting = struct.unpack('<IIIQQ', hear(GROUP))[1]
reached('group')
while waiting > 0:
    waiting -= len(hear(EVENTS)) // 20
reached('events')
say(TAKEN)
reached('taken')
hear(GO)
reached('go')
