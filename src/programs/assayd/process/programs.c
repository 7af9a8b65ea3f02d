/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/process/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/macros.h"

static const char *const names[] = {
	[CHILD_SPAWNER] = "assayd-spawner", [CHILD_WORKER] = "assayd-worker",
	[CHILD_ANCHOR] = "assayd-anchor",   [CHILD_CONTROL] = "assayd-control",
	[CHILD_VIEW] = "assayd-view",	    [CHILD_SCOUT] = "assayd-scout",
	[CHILD_WALKER] = "assayd-scout",    [CHILD_OVERLAY_PROBE] = "assayd-scout", /* and more */
	[CHILD_FETCH] = "assayd-fetch",	    [CHILD_PEEK] = "assayd-scout",
	[CHILD_VOUCH] = "assayd-scout",	    [CHILD_VOUCH_DIGEST] = "assayd-vouch",
	[CHILD_USHER] = "assayd-scout",	    [CHILD_SUCCESSOR] = NULL, /* is not of this build */
};
_Static_assert(ARRAY_LEN(names) == CHILD_ROLE_COUNT, "a program each");

const char *program_name(enum child_role role)
{
	return names[role];
}

/* The path may be of a file that an upgrade has replaced; its folder is the same. */
static int find_folder(char ret[static PATH_MAX], struct assay_err *err)
{
	char self[PATH_MAX], beside[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return assay_err_set(err, n < 0 ? -errno : -EINVAL,
				     "cannot find out where assayd is");
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	assay_fmt(beside, sizeof(beside), "%s/%s", self, names[CHILD_SPAWNER]);
	if (access(beside, X_OK) == 0)
		assay_fmt(ret, PATH_MAX, "%s", self);
	else if (ASSAY_PROGRAMS[0] == '/')
		assay_fmt(ret, PATH_MAX, "%s", ASSAY_PROGRAMS);
	else
		assay_fmt(ret, PATH_MAX, "%s/%s", self, ASSAY_PROGRAMS);
	return 0;
}

static int open_all(struct programs *p, struct assay_err *err)
{
	AUTO(fd) int folder = open(p->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < CHILD_ROLE_COUNT; i++) {
		if (!names[i] || (!ASSAY_HAS_VIEW && i == CHILD_VIEW))
			continue;
		p->fd[i] = openat(folder, names[i], O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (p->fd[i] < 0)
			return assay_err_set(err, -errno, "cannot open '%s/%s': %s", p->folder,
					     names[i], strerror(errno));
	}
	return 0;
}

int programs_new(struct programs **ret, struct assay_err *err)
{
	struct programs *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return assay_err_set(err, -ENOMEM, "out of memory");
	for (int i = 0; i < CHILD_ROLE_COUNT; i++)
		p->fd[i] = -1;
	r = find_folder(p->folder, err);
	if (r == 0)
		r = open_all(p, err);
	if (r == 0)
		*ret = p;
	else
		programs_free(p);
	return r;
}

void programs_free(struct programs *p)
{
	if (!p)
		return;
	for (int i = 0; i < CHILD_ROLE_COUNT; i++)
		assay_auto_fd(&p->fd[i]);
	free(p);
}
