/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of the kernel's tables of sockets, and TCTIs. A line that is taken says what it was asked
 * for, and its inode. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/assayd/vouch/vouch_lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *text, const char *what, uint64_t (*look)(char *, const char *))
{
	char *line = strdup(text), number[32];
	uint64_t ino = look(line, what);

	snprintf(number, sizeof(number), "%llu", (unsigned long long)ino);
	if (ino && (!strstr(text, what) || !strstr(text, number)))
		abort();
	free(line);
}

static void check_option(const char *tcti, const char *key)
{
	char value[64], wanted[80];

	if (!vouch_option(tcti, key, value, sizeof(value)))
		return;
	snprintf(wanted, sizeof(wanted), "%s=%s", key, value);
	if (strchr(value, ',') || !strstr(tcti, wanted))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	check_line(text, "/run/tpm", vouch_unix_inode);
	check_line(text, "0911", vouch_tcp_inode);
	check_option(text, "path");
	check_option(text, "port");
	free(text);
	return 0;
}
