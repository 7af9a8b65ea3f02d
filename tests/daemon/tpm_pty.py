#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A software TPM behind a device node: tpm_pty.py SOCKET LINK makes LINK lead to a terminal in raw mode, which
takes commands and gives replies as /dev/tpm0 does. A terminal does not tell who has it open: a reply that was not
read, or whose reader has sent another command meanwhile, was for a connection that is closed, and goes with it."""
import os
import pty
import select
import socket
import sys
import termios
import tty


def exchange(s, command):
    s.sendall(command)
    reply = b''
    while len(reply) < 6 or len(reply) < int.from_bytes(reply[2:6], 'big'):
        reply += s.recv(4096)
    return reply


def main():
    master, slave = pty.openpty()  # the slave stays open: else the master fails while nobody has it
    tty.setraw(slave)
    tpm = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    tpm.connect(sys.argv[1])
    os.symlink(os.ttyname(slave), sys.argv[2])
    commands = b''
    while True:
        size = int.from_bytes(commands[2:6], 'big') if len(commands) >= 6 else 6
        if len(commands) < max(size, 6):
            commands += os.read(master, 4096)
            continue
        termios.tcflush(slave, termios.TCIFLUSH)
        reply = exchange(tpm, commands[:size])
        commands = commands[size:]
        if not commands and not select.select([master], [], [], 0)[0]:
            os.write(master, reply)


main()
