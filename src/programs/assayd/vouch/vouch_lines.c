/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/vouch/vouch_lines.h"

#include <string.h>

#include "base/fmt.h"
#include "base/macros.h"
#include "base/num.h"

bool vouch_option(const char *tcti, const char *key, char *ret, size_t size)
{
	const char *at = strchr(tcti, ':');
	size_t len = strlen(key);

	while (at) {
		at++;
		if (strncmp(at, key, len) == 0 && at[len] == '=') {
			int n = (int)strcspn(at + len + 1, ",");

			return assay_fmt(ret, size, "%.*s", n, at + len + 1) < size;
		}
		at = strchr(at, ',');
	}
	return false;
}

uint64_t vouch_unix_inode(char *line, const char *path)
{
	char *word[8], *save = NULL;
	uint64_t ino;
	size_t n = 0;

	for (char *w = strtok_r(line, " ", &save); w && n < ARRAY_LEN(word);
	     w = strtok_r(NULL, " ", &save))
		word[n++] = w;
	if (n < 8 || strcmp(word[3], "00010000") != 0 || strcmp(word[7], path) != 0 ||
	    assay_num_parse(assay_bytes_str(word[6]), 10, UINT64_MAX, &ino) < 0)
		return 0;
	return ino;
}

static bool is_localhost(const char *address)
{
	static const char *const taken[] = {
		"0100007F:", "00000000:", "00000000000000000000000001000000:",
		"00000000000000000000000000000000:", "0000000000000000FFFF00000100007F:"
	};

	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (strncmp(address, taken[i], strlen(taken[i])) == 0)
			return true;
	return false;
}

uint64_t vouch_tcp_inode(char *line, const char *port)
{
	char *word[10], *save = NULL, *colon;
	uint64_t ino;
	size_t n = 0;

	for (char *w = strtok_r(line, " ", &save); w && n < ARRAY_LEN(word);
	     w = strtok_r(NULL, " ", &save))
		word[n++] = w;
	if (n < 10 || !(colon = strrchr(word[1], ':')) || strcmp(colon + 1, port) != 0 ||
	    !is_localhost(word[1]) || strcmp(word[3], "0A") != 0 ||
	    assay_num_parse(assay_bytes_str(word[9]), 10, UINT64_MAX, &ino) < 0)
		return 0;
	return ino;
}
