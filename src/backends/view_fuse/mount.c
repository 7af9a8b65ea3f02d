/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/view_fuse/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/fmt.h"

/* What mounts of ours are known by in /proc/mounts. */
#define TYPE	  "fuse.assay"
#define STALE_MAX 16 /* mounts over each other that are taken away */

/* The type of what is mounted on @path last: true, false if nothing is. Asks no filesystem: a dead
 * one would answer with an error, a hung one not at all. */
static bool type_at(const char *path, char *ret, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	char line[3 * PATH_MAX];
	struct mntent entry;
	bool found = false;

	while (mounts && getmntent_r(mounts, &entry, line, sizeof(line))) {
		if (strcmp(entry.mnt_dir, path) != 0)
			continue;
		snprintf(ret, size, "%s", entry.mnt_type);
		found = true;
	}
	if (mounts)
		endmntent(mounts);
	return found;
}

/* The path of the place, as /proc/mounts has it. */
static int path_of(const struct assay_view_mount *m, char ret[static PATH_MAX],
		   struct assay_err *err)
{
	char link[32], parent[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", m->parent_fd);
	n = readlink(link, parent, sizeof(parent) - 1);
	if (n < 0)
		return assay_err_set(err, -errno, "cannot read '%s': %s", link, strerror(errno));
	parent[n] = '\0';
	if (assay_fmt(ret, PATH_MAX, "%s/%s", parent[1] ? parent : "", m->name) < PATH_MAX)
		return 0;
	return assay_err_set(err, -ENAMETOOLONG, "the path of '%s' is too long", m->name);
}

/* In the current folder, which is the place's. */
static int clear_place(const struct assay_view_mount *m, struct assay_err *err)
{
	char type[64], path[PATH_MAX];
	int r = path_of(m, path, err);

	for (unsigned i = 0; r == 0 && i < STALE_MAX && type_at(path, type, sizeof(type)); i++) {
		if (strcmp(type, TYPE) != 0)
			return assay_err_set(err, -EBUSY,
					     "'%s': a filesystem of type '%s' is there", path,
					     type);
		if (umount2(m->name, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return assay_err_set(err, -errno, "cannot unmount '%s': %s", path,
					     strerror(errno));
	}
	if (r == 0 && mkdir(m->name, 0755) < 0 && errno != EEXIST)
		r = assay_err_set(err, -errno, "cannot make '%s': %s", path, strerror(errno));
	return r;
}

static int mount_there(struct assay_view_mount *m, struct assay_err *err)
{
	char options[160];
	struct statx st;
	int code;

	m->fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (m->fuse_fd < 0)
		return assay_err_set(err, -errno, "cannot open /dev/fuse: %s", strerror(errno));
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other,default_permissions",
		 m->fuse_fd);
	if (mount("assay", m->name, TYPE, MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return assay_err_set(err, -errno, "cannot mount on '%s': %s", m->name,
				     strerror(errno));
	/* What the kernel knows by itself: nobody serves it yet. */
	if (statx(AT_FDCWD, m->name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, 0, &st) == 0) {
		m->dev_major = st.stx_dev_major;
		m->dev_minor = st.stx_dev_minor;
		return 0;
	}
	code = -errno;
	umount2(m->name, MNT_DETACH | UMOUNT_NOFOLLOW);
	return assay_err_set(err, code, "cannot stat '%s': %s", m->name, strerror(-code));
}

int assay_view_mount(int parent_fd, const char *name, struct assay_view_mount *ret,
		     struct assay_err *err)
{
	struct assay_view_mount m = { .fuse_fd = -1, .parent_fd = parent_fd };
	int r = 0;

	if (assay_fmt(m.name, sizeof(m.name), "%s", name) >= sizeof(m.name) || strchr(name, '/'))
		return assay_err_set(err, -EINVAL, "'%s' is no name of a folder", name);
	if (fchdir(parent_fd) < 0)
		return assay_err_set(err, -errno, "cannot enter the folder of '%s': %s", name,
				     strerror(errno));
	r = clear_place(&m, err);
	if (r == 0)
		r = mount_there(&m, err);
	if (chdir("/") < 0 && r == 0)
		r = assay_err_set(err, -errno, "cannot enter '/': %s", strerror(errno));
	if (r < 0) {
		assay_auto_fd(&m.fuse_fd);
		return r;
	}
	*ret = m;
	return 0;
}
