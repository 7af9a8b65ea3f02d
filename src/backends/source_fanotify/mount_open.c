/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/mount_open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/macros.h"

/* The next automounter's mount. A blank within a path stands there escaped, so that this is the
 * word behind which the type is. */
static bool next_automount(struct assay_bytes *rest, struct assay_mount *ret)
{
	static const char word[] = " - autofs ";
	const uint8_t *at, *line;
	unsigned skipped = 0;

	while (rest->len && (at = memmem(rest->data, rest->len, word, sizeof(word) - 1))) {
		struct assay_bytes from_line;
		size_t before = (size_t)(at - rest->data);

		line = memrchr(rest->data, '\n', before);
		line = line ? line + 1 : rest->data;
		from_line = assay_bytes(line, rest->len - (size_t)(line - rest->data));
		*rest = assay_bytes(at + 1, rest->len - before - 1);
		if (assay_mountinfo_next(&from_line, ret, &skipped) &&
		    strcmp(ret->type, "autofs") == 0)
			return true;
	}
	return false;
}

static bool is_at_or_below(const char *path, const char *point)
{
	size_t n = strlen(point);

	return strncmp(path, point, n) == 0 &&
	       (path[n] == '/' || path[n] == '\0' || (n && point[n - 1] == '/'));
}

static bool leads_through_automount(const char *point, struct assay_bytes table)
{
	struct assay_mount m;

	while (next_automount(&table, &m))
		if (is_at_or_below(point, m.point))
			return true;
	return false;
}

static bool is_automount(uint64_t dev, struct assay_bytes table)
{
	struct assay_mount m;

	while (next_automount(&table, &m))
		if (m.dev == dev)
			return true;
	return false;
}

/* A folder on which something is mounted, and all above it, are in memory: only what must be asked
 * for, or a rename just now, makes this fail. */
int assay_mount_open_path(const char *point, struct assay_bytes table)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, point, &how, sizeof(how));

	if (fd < 0 && leads_through_automount(point, table))
		return -EREMOTE;
	if (fd < 0)
		fd = open(point, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What the kernel has at hand: a server that is mounted over it is not asked either. */
static int ask_kernel(int fd, struct statx *ret)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_MNT_ID,
		     ret) < 0
		       ? -errno
		       : 0;
}

static uint64_t device_of(const struct statx *st)
{
	return makedev(st->stx_dev_major, st->stx_dev_minor);
}

/* Files of btrfs and overlays have other numbers than the mount; then its id tells. */
int assay_mount_open(const struct assay_mount *m, struct assay_bytes table)
{
	AUTO(fd) int fd = assay_mount_open_path(m->point, table);
	struct statx st;
	int r = fd < 0 ? fd : ask_kernel(fd, &st);

	if (r < 0)
		return r;
	if (device_of(&st) != m->dev &&
	    !(st.stx_mask & STATX_MNT_ID && st.stx_mnt_id == (uint32_t)m->id))
		return -EBUSY;
	return TAKE_FD(fd);
}

int assay_mount_open_given(const char *path, struct assay_bytes table)
{
	AUTO(fd) int fd = assay_mount_open_path(path, table);
	struct statx st;
	int r = fd < 0 ? fd : ask_kernel(fd, &st);

	if (r < 0)
		return r;
	return is_automount(device_of(&st), table) ? -EREMOTE : assay_mount_open_again(fd);
}

int assay_mount_open_again(int path_fd)
{
	char link[32];
	int fd;

	assay_fmt(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}
