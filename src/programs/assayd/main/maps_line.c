/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/maps_line.h"

#include <string.h>
#include <sys/sysmacros.h>

#include "base/num.h"

/* Cuts the next word off *@at; "" past the last. */
static char *next_word(char **at, const char *ends)
{
	char *word = *at + strspn(*at, " ");
	size_t len = strcspn(word, ends);

	*at = word + len + (word[len] != '\0');
	word[len] = '\0';
	return word;
}

static bool take_number(char **at, const char *ends, unsigned base, uint64_t max, uint64_t *ret)
{
	return assay_num_parse(assay_bytes_str(next_word(at, ends)), base, max, ret) == 0;
}

bool maps_line_parse(char *line, struct maps_line *ret)
{
	uint64_t major, minor;

	ret->range = next_word(&line, " ");
	ret->perms = next_word(&line, " ");
	next_word(&line, " ");
	if (!take_number(&line, ":", 16, UINT32_MAX, &major) ||
	    !take_number(&line, " ", 16, UINT32_MAX, &minor) ||
	    !take_number(&line, " ", 10, UINT64_MAX, &ret->ino))
		return false;
	ret->dev = makedev((unsigned)major, (unsigned)minor);
	ret->path = line + strspn(line, " ");
	return ret->ino != 0 && strlen(ret->perms) == 4;
}
