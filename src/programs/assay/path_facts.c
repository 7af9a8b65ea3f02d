/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/path_facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/file.h"
#include "formats/policy.h"

/* Linux 6.9; the headers of Debian 12 do not have it. */
struct fs_uuid {
	uint8_t len, uuid[16];
};
#define GET_FS_UUID _IOR(0x15, 0, struct fs_uuid)

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

/* udev's links from UUIDs to block devices; a name that is no UUID is of another kind. */
static void find_uuid_link(dev_t dev, struct path_facts *f)
{
	DIR *dir = opendir("/dev/disk/by-uuid");
	struct dirent *entry;
	struct stat st;

	while (dir && !f->has_fsuuid && (entry = readdir(dir)))
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISBLK(st.st_mode) &&
		    st.st_rdev == dev)
			f->has_fsuuid =
				assay_fsuuid_parse(assay_bytes_str(entry->d_name), f->fsuuid);
	if (dir)
		closedir(dir);
}

/* Asks the folder that the file is in: opening the file itself would be an event. */
static void read_uuid(const char *path, const struct stat *st, struct path_facts *f)
{
	char *folder = realpath(path, NULL);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	struct fs_uuid uuid = { 0 };
	struct stat there;

	if (slash && !S_ISDIR(st->st_mode))
		slash[slash == folder] = '\0';
	if (folder) {
		AUTO(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && fstat(fd, &there) == 0 && there.st_dev == st->st_dev &&
		    ioctl(fd, GET_FS_UUID, &uuid) == 0 && uuid.len == 16) {
			memcpy(f->fsuuid, uuid.uuid, sizeof(f->fsuuid));
			f->has_fsuuid = true;
		}
	}
	free(folder);
	if (!f->has_fsuuid)
		find_uuid_link(st->st_dev, f);
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
