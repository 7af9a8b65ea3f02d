/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ignore masks of before a change of the rules are taken away, one inode after the other, and the
 * marks stay: see the note in marks.c on what a removed mark does.
 *
 * No mark of before is missed: the epoch has grown when the list is made, so that no mark of an
 * older epoch is added any more; and the kernel makes the whole list at the first read, holding
 * what guards the group's marks.
 */
#include "backends/source_fanotify/group.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "backends/source_fanotify/reach.h"
#include "base/file.h"
#include "base/fmt.h"

#define CHUNK 65536u

static void clear_one(struct assay_fanotify *f, struct assay_reach *reach,
		      const struct assay_inode_mark *mark, struct assay_fanotify_forgotten *n)
{
	AUTO(fd) int fd = -1;
	char path[64];

	fd = assay_reach_open(reach, mark);
	if (fd == -ESTALE) /* and the mark with it */
		return;
	assay_fmt(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0 && (fanotify_mark(f->fd, FAN_MARK_REMOVE | FAN_MARK_IGNORED_MASK, mark->ignored,
				      AT_FDCWD, path) == 0 ||
			errno == ENOENT))
		n->cleared++;
	else
		n->unreached++;
}

/* The whole lines of @text; returns how many bytes they are. */
static size_t clear_lines(struct assay_fanotify *f, struct assay_reach *reach,
			  struct assay_bytes text, struct assay_fanotify_forgotten *n)
{
	struct assay_inode_mark mark;
	const uint8_t *end;
	size_t at = 0;

	while (at < text.len && (end = memchr(text.data + at, '\n', text.len - at))) {
		struct assay_bytes line =
			assay_bytes(text.data + at, (size_t)(end - text.data) - at);

		if (assay_mark_parse(line, &mark)) {
			n->marks++;
			if (mark.ignored)
				clear_one(f, reach, &mark, n);
		}
		at += line.len + 1;
	}
	return at;
}

static int clear_listed(struct assay_fanotify *f, struct assay_reach *reach, int list,
			struct assay_fanotify_forgotten *n)
{
	uint8_t buf[CHUNK];
	size_t have = 0, done;
	ssize_t got;

	for (;;) {
		got = read(list, buf + have, sizeof(buf) - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : have ? -EBADMSG : 0;
		have += (size_t)got;
		done = clear_lines(f, reach, assay_bytes(buf, have), n);
		have -= done;
		memmove(buf, buf + done, have);
		if (have == sizeof(buf))
			return -EBADMSG;
	}
}

static int clear_all(struct assay_fanotify *f, struct assay_fanotify_forgotten *n)
{
	AUTO(reach) struct assay_reach *reach = NULL;
	AUTO(fd) int list = -1;
	char path[64];
	int r = assay_reach_new(&reach, NULL);

	if (r < 0)
		return r;
	assay_fmt(path, sizeof(path), "/proc/self/fdinfo/%d", f->fd);
	list = open(path, O_RDONLY | O_CLOEXEC);
	if (list < 0)
		return -errno;
	return clear_listed(f, reach, list, n);
}

static void grow_epoch(struct assay_fanotify *f)
{
	pthread_rwlock_wrlock(&f->marking);
	atomic_fetch_add(&f->epoch, 1);
	pthread_rwlock_unlock(&f->marking);
}

int assay_fanotify_forget(struct assay_fanotify *f, struct assay_fanotify_forgotten *ret)
{
	struct assay_fanotify_forgotten n = { 0 };
	int r = 0;

	pthread_mutex_lock(&f->forgetting);
	grow_epoch(f);
	if (f->fd >= 0)
		r = clear_all(f, &n);
	n.flushed = f->fd >= 0 && (r < 0 || n.unreached);
	/* Of the inodes only; the path is not looked at. */
	if (n.flushed)
		r = fanotify_mark(f->fd, FAN_MARK_FLUSH, 0, AT_FDCWD, "/") < 0 ? -errno : 0;
	pthread_mutex_unlock(&f->forgetting);
	*ret = n;
	return r;
}
