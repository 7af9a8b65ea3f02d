/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/process/proc_text.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/num.h"

#define OF_PROCESS_MAX (64u << 10)

char *proc_text_read(const char *path, size_t max)
{
	AUTO(file) struct assay_file file = { 0 };

	if (assay_file_read(AT_FDCWD, path, max, &file, NULL) < 0)
		return NULL;
	return strndup((const char *)file.bytes.data, file.bytes.len);
}

char *proc_text_read_of(pid_t pid, const char *name)
{
	char path[64];

	assay_fmt(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return proc_text_read(path, OF_PROCESS_MAX);
}

char *proc_text_line(char **text)
{
	char *line = *text, *end;

	if (!*line)
		return NULL;
	end = strchr(line, '\n');
	*text = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	return line;
}

bool proc_text_pid(const char *text, pid_t *ret)
{
	uint64_t pid;

	if (assay_num_parse(assay_bytes_str(text), 10, INT32_MAX, &pid) < 0 || pid == 0)
		return false;
	*ret = (pid_t)pid;
	return true;
}
