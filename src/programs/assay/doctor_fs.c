/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/doctor_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "base/fsuuid.h"

#define HANDLE_BYTES 128

/* A device can be mounted over, too; opening one could set something off. */
static int open_again(int path_fd, const struct stat *st)
{
	char path[64];

	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode)) {
		errno = ENOTDIR;
		return -1;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* -1 where none is to be had: @ret says why. */
static int open_root(const struct fs_look_at *what, struct fs_look *ret, struct stat *st)
{
	int fd = -1;

	for (unsigned i = 0; i < what->n_points && fd < 0; i++) {
		AUTO(fd) int path_fd = open(what->point[i], O_PATH | O_CLOEXEC);

		ret->error = path_fd < 0 || fstat(path_fd, st) < 0 ? errno : 0;
		if (ret->error)
			continue;
		ret->covered = st->st_dev != what->dev && !what->any_dev;
		if (ret->covered)
			continue;
		fd = open_again(path_fd, st);
		ret->error = fd < 0 ? errno : 0;
	}
	return fd;
}

static int try_xattrs(int fd)
{
	char value[1];

	return fgetxattr(fd, "security.ima", value, 0) >= 0 || errno == ENODATA ? 0 : errno;
}

/* Of a file or folder that has no digest ENODATA, if it could have one. */
static int try_verity(int fd)
{
	_Alignas(struct fsverity_digest) uint8_t space[sizeof(struct fsverity_digest) + 64] = { 0 };
	struct fsverity_digest *d = (void *)space;

	d->digest_size = 64;
	return ioctl(fd, FS_IOC_MEASURE_VERITY, d) == 0 || errno == ENODATA ? 0 : errno;
}

static int try_handles(int fd)
{
	union {
		struct file_handle head;
		uint8_t space[sizeof(struct file_handle) + HANDLE_BYTES];
	} h = { .head.handle_bytes = HANDLE_BYTES };
	int mount_id;

	return name_to_handle_at(fd, "", &h.head, &mount_id, AT_EMPTY_PATH) == 0 ? 0 : errno;
}

/* Opens of one folder, for which no events are made, of a group in which nobody waits. */
static int try_notify(int fd)
{
	AUTO(fd) int group = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);

	if (group < 0)
		return -1;
	return fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN, fd, NULL) < 0 ? errno : 0;
}

/* 0, or the errno of a mark on @fd. */
static int try_mark(int group, unsigned flags, uint64_t mask, int fd)
{
	return fanotify_mark(group, FAN_MARK_ADD | flags, mask, fd, NULL) < 0 ? errno : 0;
}

/* A write lease can be had by who has the only descriptor, and an assayd that watches may still
 * have another one: it is there all the same. */
static int try_lease(int fd)
{
	int error = fcntl(fd, F_SETLEASE, F_WRLCK) < 0 ? errno : 0;

	fcntl(fd, F_SETLEASE, F_UNLCK);
	return error == EAGAIN ? 0 : error;
}

/* A file without a name, that only we have open. An assayd may watch here: nobody reads the file,
 * so that there is no content to measure and no reader beside a writer, which would be a violation.
 */
static void try_on_memory(int root, struct fs_look *ret)
{
	AUTO(fd) int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
	AUTO(fd) int file = openat(root, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (file < 0)
		return;
	ret->lease = try_lease(file);
	if (group < 0)
		return;
	ret->permission = try_mark(group, 0, FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM, file);
	ret->ignore = try_mark(group, FAN_MARK_IGNORED_MASK, FAN_OPEN_PERM, file);
}

static void look_closely(const struct fs_look_at *what, int fd, const struct stat *st,
			 struct fs_look *ret)
{
	struct statfs s;

	if (fstatfs(fd, &s) < 0) {
		ret->error = errno;
		return;
	}
	ret->magic = (uint64_t)s.f_type;
	ret->read_only = s.f_flags & ST_RDONLY;
	ret->xattrs = try_xattrs(fd);
	ret->verity = try_verity(fd);
	ret->handles = try_handles(fd);
	ret->notify = try_notify(fd);
	ret->has_uuid = assay_fsuuid_read(fd, st->st_dev, ret->uuid);
	if (what->memory && !ret->read_only && S_ISDIR(st->st_mode))
		try_on_memory(fd, ret);
}

struct fs_look fs_look_nothing(int error)
{
	return (struct fs_look){
		.error = error,
		.xattrs = -1,
		.verity = -1,
		.handles = -1,
		.notify = -1,
		.permission = -1,
		.ignore = -1,
		.lease = -1,
	};
}

void fs_look(const void *what_, void *ret_)
{
	const struct fs_look_at *what = what_;
	struct fs_look *ret = ret_;
	AUTO(fd) int fd = -1;
	struct statfs s;
	struct stat st;

	*ret = fs_look_nothing(0);
	if (what->far_away) {
		ret->error = statfs(what->point[0], &s) < 0 ? errno : 0;
		ret->magic = ret->error ? 0 : (uint64_t)s.f_type;
		return;
	}
	fd = open_root(what, ret, &st);
	if (fd >= 0)
		look_closely(what, fd, &st, ret);
}
