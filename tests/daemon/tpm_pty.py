#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A software TPM behind a device node: tpm_pty.py SOCKET LINK makes LINK lead to a terminal in raw mode, which
takes commands and gives replies as /dev/tpm0 does."""
import os
import pty
import socket
import sys
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
    while True:
        command = os.read(master, 4096)
        while len(command) < 6 or len(command) < int.from_bytes(command[2:6], 'big'):
            command += os.read(master, 4096)
        os.write(master, exchange(tpm, command))


main()
