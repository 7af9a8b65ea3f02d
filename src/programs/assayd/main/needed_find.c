/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/needed_find.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fmt.h"
#include "programs/assayd/process/proc_text.h"

#define SLICE	     "system.slice"
#define TEXT_MAX     (64u << 10)
#define CHILDREN     "/proc/1/task/1/children"
#define CHILDREN_MAX (4u << 20)
#define SERVICE_PIDS 64u /* of one service that are looked at */

/* ---- who a process is ----------------------------------------------------------------------- */

/* By the owner of its folder, which is its effective user, whatever it lets others see. */
bool needed_is_roots(pid_t pid)
{
	char path[64];
	struct stat st;

	assay_fmt(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &st) == 0 && st.st_uid == 0;
}

/* Numbers with a blank behind each. A kernel that does not list them (CONFIG_PROC_CHILDREN) has it
 * told by the cgroup alone. */
static bool is_child_of_init(pid_t pid)
{
	char *text = proc_text_read(CHILDREN, CHILDREN_MAX), *save = NULL;
	bool is = !text;
	pid_t child;

	for (char *word = text ? strtok_r(text, " ", &save) : NULL; word && !is;
	     word = strtok_r(NULL, " ", &save))
		is = proc_text_pid(word, &child) && child == pid;
	free(text);
	return is;
}

static bool is_in_cgroup(pid_t pid, const char *unit)
{
	char *text = proc_text_read_of(pid, "cgroup"), *at = text, *line, wanted[256];
	bool is = false;

	assay_fmt(wanted, sizeof(wanted), "0::/" SLICE "/%s", unit);
	while (text && (line = proc_text_line(&at)))
		is |= strcmp(line, wanted) == 0;
	free(text);
	return is;
}

bool needed_is_service(pid_t pid, const char *unit, bool root)
{
	return is_in_cgroup(pid, unit) && (!root || needed_is_roots(pid)) && is_child_of_init(pid);
}

/* Where the one hierarchy is, or beside the old ones. */
static const char *cgroup_root(void)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_LEN(roots); i++)
		if (statfs(roots[i], &fs) == 0 && (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC)
			return roots[i];
	return NULL;
}

pid_t needed_find_service(const char *unit, bool root)
{
	const char *top = cgroup_root();
	char path[256], *text, *at, *line;
	pid_t pid, found = 0;

	if (!top)
		return 0;
	assay_fmt(path, sizeof(path), "%s/" SLICE "/%s/cgroup.procs", top, unit);
	text = at = proc_text_read(path, TEXT_MAX);
	for (size_t i = 0; text && !found && i < SERVICE_PIDS && (line = proc_text_line(&at)); i++)
		if (proc_text_pid(line, &pid) && needed_is_service(pid, unit, root))
			found = pid;
	free(text);
	return found;
}
