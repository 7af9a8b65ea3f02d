/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/path_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/file.h"
#include "base/fsuuid.h"
#include "formats/policy.h"

/* "MOUNT-ID PARENT MAJOR:MINOR ... - TYPE SOURCE OPTIONS": the type of the mount @id. */
static bool find_type(const char *line, uint64_t id, struct path_facts *f)
{
	const char *type;
	char *end;

	if (strtoull(line, &end, 10) != id || *end != ' ')
		return false;
	type = strstr(line, " - ");
	if (!type)
		return false;
	type += 3;
	snprintf(f->fsname, sizeof(f->fsname), "%.*s", (int)strcspn(type, " \n."), type);
	type += strcspn(type, " \n.");
	if (*type == '.')
		snprintf(f->fs_subtype, sizeof(f->fs_subtype), "%.*s",
			 (int)strcspn(type + 1, " \n"), type + 1);
	return true;
}

static void read_type(uint64_t mount_id, struct path_facts *f)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0 && !find_type(line, mount_id, f))
		;
	free(line);
	if (file)
		fclose(file);
}

/* Asks the folder that the file is in: opening the file itself would be an event. */
static void read_uuid(const char *path, const struct stat *st, struct path_facts *f)
{
	char *folder = realpath(path, NULL);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	struct stat there;

	if (slash && !S_ISDIR(st->st_mode))
		slash[slash == folder] = '\0';
	if (folder) {
		AUTO(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && fstat(fd, &there) == 0 && there.st_dev == st->st_dev)
			f->has_fsuuid = assay_fsuuid_read(fd, st->st_dev, f->fsuuid);
	}
	free(folder);
}

int path_facts_read(const char *path, struct path_facts *ret, struct assay_err *err)
{
	struct path_facts f = { 0 };
	struct statfs fs;
	struct statx sx;
	struct stat st;

	if (stat(path, &st) != 0 || statfs(path, &fs) != 0 ||
	    statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_MNT_ID, &sx) != 0)
		return assay_err_set(err, -errno, "cannot look at '%s': %s", path, strerror(errno));
	f.fsmagic = (unsigned long)fs.f_type;
	f.fowner = st.st_uid;
	f.fgroup = st.st_gid;
	if (sx.stx_mask & STATX_MNT_ID)
		read_type(sx.stx_mnt_id, &f);
	read_uuid(path, &st, &f);
	*ret = f;
	return 0;
}
