/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of /proc/PID/maps. What is read of one is read again of the line that the kernel would
 * write for it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "programs/assayd/main/maps_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = strndup((const char *)data, size), *text;
	const char *end = line + strlen(line);
	struct maps_line is, again;

	if (maps_line_parse(line, &is)) {
		if (is.ino == 0 || is.path < line || is.path > end ||
		    asprintf(&text, "%s %s 00000000 %02x:%02x %" PRIu64 "   %s", is.range, is.perms,
			     major(is.dev), minor(is.dev), is.ino, is.path) < 0)
			abort();
		if (!maps_line_parse(text, &again) || again.dev != is.dev || again.ino != is.ino ||
		    strcmp(again.range, is.range) != 0 || strcmp(again.perms, is.perms) != 0 ||
		    strcmp(again.path, is.path) != 0)
			abort();
		free(text);
	}
	free(line);
	return 0;
}
