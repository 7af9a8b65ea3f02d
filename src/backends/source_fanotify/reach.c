/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/reach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/source_fanotify/mount_open.h"
#include "base/file.h"
#include "base/fmt.h"

#define MOUNTINFO_MAX (64u << 20)
#define HELD_MAX      64u /* filesystems held open at once */

union handle {
	struct file_handle head;
	uint8_t space[sizeof(struct file_handle) + ASSAY_MARK_HANDLE_MAX];
};

/* A filesystem that was looked for: a descriptor, or -errno why there is none. */
struct place {
	uint64_t dev;
	int fd;
};

struct assay_reach {
	struct assay_file mountinfo;
	struct assay_mount mount; /* several KiB */
	struct place *place;
	uint32_t n, cap, n_open, last, next_victim;
};

int assay_reach_new(struct assay_reach **ret, struct assay_err *err)
{
	AUTO(reach) struct assay_reach *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return assay_err_set(err, -ENOMEM, "out of memory");
	rc = assay_file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &r->mountinfo, err);
	if (rc == 0)
		*ret = TAKE(r);
	return rc;
}

void assay_reach_free(struct assay_reach *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->n; i++)
		if (r->place[i].fd >= 0)
			close(r->place[i].fd);
	assay_file_free(&r->mountinfo);
	free(r->place);
	free(r);
}

/* A device or a pipe can be mounted over, too; opening one could set something off. */
static int open_again(int path_fd)
{
	char path[64];
	struct stat st;
	int fd;

	if (fstat(path_fd, &st) < 0 || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
		return -ENXIO;
	assay_fmt(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -ENXIO : fd;
}

/* Nobody is asked on the way. */
static int open_path(const char *point, struct assay_bytes table)
{
	int fd = assay_mount_open_path(point, table);

	return fd == -EAGAIN && !assay_mount_way_asks(point, table)
		       ? open(point, O_PATH | O_CLOEXEC)
		       : fd;
}

/* @m as it is now, if nothing is mounted over it. */
static int open_mount(const struct assay_mount *m, struct assay_bytes table)
{
	union handle h = { .head.handle_bytes = ASSAY_MARK_HANDLE_MAX };
	AUTO(fd) int fd = open_path(m->point, table);
	int mount_id;

	if (fd < 0)
		return -ENXIO;
	if (name_to_handle_at(fd, "", &h.head, &mount_id, AT_EMPTY_PATH) < 0)
		return errno == EOPNOTSUPP ? -EOPNOTSUPP : -ENXIO;
	return mount_id == m->id ? open_again(fd) : -ENXIO;
}

static int find_mount(struct assay_reach *r, uint64_t dev)
{
	struct assay_bytes rest = r->mountinfo.bytes;
	int fd = -ENXIO, next;
	unsigned skipped = 0;

	while (fd < 0 && assay_mountinfo_next(&rest, &r->mount, &skipped)) {
		if (r->mount.dev != dev)
			continue;
		next = open_mount(&r->mount, r->mountinfo.bytes);
		if (next >= 0 || fd == -ENXIO)
			fd = next;
	}
	return fd;
}

static bool has_room(struct assay_reach *r)
{
	struct place *bigger;

	if (r->n < r->cap)
		return true;
	bigger = realloc(r->place, (r->cap + 64) * sizeof(*bigger));
	if (!bigger)
		return false;
	r->place = bigger;
	r->cap += 64;
	return true;
}

/* Another one is forgotten when too many are held; it is looked for again should it be needed. */
static void make_room(struct assay_reach *r)
{
	struct place *victim;

	while (r->n_open >= HELD_MAX) {
		victim = &r->place[r->next_victim++ % r->n];
		if (victim->fd < 0)
			continue;
		close(victim->fd);
		*victim = r->place[--r->n];
		r->n_open--;
	}
}

static int find_place(struct assay_reach *r, uint64_t dev)
{
	int fd;

	if (r->last < r->n && r->place[r->last].dev == dev)
		return r->place[r->last].fd;
	for (r->last = 0; r->last < r->n; r->last++)
		if (r->place[r->last].dev == dev)
			return r->place[r->last].fd;
	make_room(r);
	if (!has_room(r))
		return -ENOMEM;
	fd = find_mount(r, dev);
	r->last = r->n;
	r->place[r->n++] = (struct place){ .dev = dev, .fd = fd };
	r->n_open += fd >= 0;
	return fd;
}

int assay_reach_open(struct assay_reach *r, const struct assay_inode_mark *mark)
{
	union handle h = { .head.handle_bytes = mark->handle_len,
			   .head.handle_type = mark->handle_type };
	int place, fd;

	if (!mark->handle_len)
		return -EOPNOTSUPP;
	place = find_place(r, mark->dev);
	if (place < 0)
		return place;
	memcpy(h.space + sizeof(h.head), mark->handle, mark->handle_len);
	fd = open_by_handle_at(place, &h.head, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
