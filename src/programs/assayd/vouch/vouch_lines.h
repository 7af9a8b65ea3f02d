/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who listens, in the texts that say it: a TCTI of tpm2-tss, and the kernel's tables of sockets,
 * where any user may have chosen a name. Knows no file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of @key in "NAME:key=value,key=value". False: there is none, or it is @size bytes long
 * or longer. */
bool vouch_option(const char *tcti, const char *key, char *ret, size_t size);

/*
 * The inode of a socket that listens, or 0. @line is cut into words.
 * Of /proc/net/unix, bound to @path: "Num RefCount Protocol Flags Type St Inode Path".
 */
uint64_t vouch_unix_inode(char *line, const char *path);
/* Of /proc/net/tcp and tcp6, at an address by which localhost is reached, and @port (four digits,
 * hexadecimal): "sl local rem st tx:rx tr:tm retrnsmt uid timeout inode ...", state 0A. */
uint64_t vouch_tcp_inode(char *line, const char *port);
