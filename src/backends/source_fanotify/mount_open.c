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

		for (line = at; line > rest->data && line[-1] != '\n';)
			line--;
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

/* A folder on which something is mounted, and all above it, are in memory: only what must be asked
 * for, or a rename just now, makes this fail. */
int assay_mount_open_path(const char *point, struct assay_bytes table)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, point, &how, sizeof(how));

	if (fd >= 0)
		return fd;
	return leads_through_automount(point, table) ? -EREMOTE : -EAGAIN;
}

bool assay_mount_way_asks(const char *point, struct assay_bytes table)
{
	struct assay_mount m;
	unsigned skipped = 0;

	while (assay_mountinfo_next(&table, &m, &skipped))
		if ((assay_mount_is_remote(m.type) || assay_mount_is_overlay(m.type)) &&
		    is_at_or_below(point, m.point))
			return true;
	return skipped != 0;
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

static bool has_id(const struct statx *st, const struct assay_mount *m)
{
	return st->stx_mask & STATX_MNT_ID && st->stx_mnt_id == (uint32_t)m->id;
}

/* Files of btrfs and overlays have other numbers than the mount; then its id tells. */
int assay_mount_check(int fd, const struct assay_mount *m)
{
	struct statx st;
	int r = ask_kernel(fd, &st);

	if (r < 0)
		return r;
	return device_of(&st) == m->dev || has_id(&st, m) ? 0 : -EBUSY;
}

int assay_mount_find(int fd, struct assay_bytes table, struct assay_mount *ret)
{
	unsigned skipped = 0;
	struct statx st;
	int r = ask_kernel(fd, &st);

	if (r < 0)
		return r;
	while (assay_mountinfo_next(&table, ret, &skipped))
		if (has_id(&st, ret))
			return 0;
	return -ENOENT;
}

int assay_mount_open_again(int path_fd)
{
	char link[32];
	int fd;

	assay_fmt(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}
