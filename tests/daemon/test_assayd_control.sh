#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The control socket under abuse: garbage, what is too big, many at once, who is not root, who never reads
# an answer and who never ends asking. assayd goes on, and stops when it is asked to.
. "$TEST_LIB"
. "$SOURCE/tests/daemon/lib.sh"
daemon_test mount
chmod 711 "$SCRATCH" # what keeps others out is the socket

start_assayd

timeout -s KILL 200 python3 - "$CONTROL" <<'EOF_PY'
import os, random, socket, sys
def connect():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1])
    s.settimeout(60)
    return s
random.seed(1)
status = b'{"op": "status"}'
cases = [b'{', b'[]', b'[' * 60000, b'null', b'{"op": 7}', b'{"op": "\xff"}', b'{"op": "%s"}' % (b'\xc3\xa4' * 40),
         b'{"op": "a%s"}' % (b'\xc3\xa4' * 40), b'{"op": "status", "x": 1}', b'{"op":"quote"}', b'{"op":"pcrs","pcrs":[]}',
         b'{"op":"pcrs","pcrs":"sha256:99"}', b'\0' * 100, b'x' * 100000,
         b'{"op":"quote","nonce":"%s","ak_public":"","ak_private":""}' % (b'00' * 20000)]
cases += [bytes(random.randrange(256) for _ in range(random.randrange(1, 200))) for _ in range(200)]
for _ in range(300):
    b = bytearray(b'{"op":"quote","nonce":"00","ak_public":"00","ak_private":"00","pcrs":"sha256:10"}')
    for _ in range(random.randrange(1, 4)):
        b[random.randrange(len(b))] = random.randrange(256)
    cases.append(bytes(b))
for c in cases:
    s = connect()
    try:
        s.send(c)
        s.recv(65536)
    except (BrokenPipeError, ConnectionResetError):
        pass
    s.close()
for _ in range(200):
    connect().close()
s = connect()
s.send(status)
assert b'"policy"' in s.recv(65536)
EOF_PY
expect_text "$(status policy)" tcb
python3 - "$CONTROL" <<'EOF_PY' || fail 'somebody who is not root got in'
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
os.stat(sys.argv[1])
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try: s.connect(sys.argv[1])
except PermissionError: sys.exit(0)
sys.exit(1)
EOF_PY

# Who says nothing makes room, and is let go; what is too long for a request is refused.
timeout -s KILL 200 python3 - "$CONTROL" <<'EOF_PY'
import socket, sys
def connect():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1])
    s.settimeout(60)
    return s
silent = [connect() for _ in range(100)]
last = connect()
for _ in range(3):
    last.send(b'{"op": "status"}')
    assert b'"policy"' in last.recv(65536)
last.send(b'{"op": "status"}' + b' ' * 9000)
assert b'"code":7}' in last.recv(65536)
assert silent[0].recv(10) == b'' and silent[-1].recv(10) == b''
EOF_PY

# ends_soon: asked to stop, it does not wait for its clients.
ends_soon() {
	SECONDS=0
	stop_assayd
	[ $SECONDS -lt $PATIENCE ] || fail "stopping took $SECONDS seconds: $1"
}

# client WHAT: says so when it is at it, and goes on.
cat >"$SCRATCH/client.py" <<'EOF_PY'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
n = 0
while True:
    s.send(b'{"op": "status"}')
    if sys.argv[2] == 'asks': s.recv(65536)
    n += 1
    if n == 8: print('busy', flush=True)
EOF_PY
client() {
	background timeout -s KILL 250 python3 "$SCRATCH/client.py" "$CONTROL" "$1" >"$SCRATCH/client"
}

client asks
wait_for 10 grep -q busy "$SCRATCH/client"
ends_soon 'a client that asks and asks'
start_assayd
client deaf
wait_for 10 grep -q busy "$SCRATCH/client"
ends_soon 'a client that reads no answer'
