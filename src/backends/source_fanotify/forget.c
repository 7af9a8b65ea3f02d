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

/* The whole lines of @text; returns how many bytes they are. */
static size_t take_lines(struct assay_bytes text, void (*line)(void *ctx, struct assay_bytes line),
			 void *ctx)
{
	const uint8_t *end;
	size_t at = 0;

	while (at < text.len && (end = memchr(text.data + at, '\n', text.len - at))) {
		size_t len = (size_t)(end - text.data) - at;

		line(ctx, assay_bytes(text.data + at, len));
		at += len + 1;
	}
	return at;
}

int assay_fanotify_list_marks(int fd, void (*line)(void *ctx, struct assay_bytes line), void *ctx)
{
	AUTO(fd) int list = -1;
	size_t have = 0, done;
	uint8_t buf[CHUNK];
	ssize_t got;

	assay_fmt((char *)buf, sizeof(buf), "/proc/self/fdinfo/%d", fd);
	list = open((char *)buf, O_RDONLY | O_CLOEXEC);
	if (list < 0)
		return -errno;
	for (;;) {
		got = read(list, buf + have, sizeof(buf) - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : have ? -EBADMSG : 0;
		have += (size_t)got;
		done = take_lines(assay_bytes(buf, have), line, ctx);
		have -= done;
		memmove(buf, buf + done, have);
		if (have == sizeof(buf))
			return -EBADMSG;
	}
}

struct clearing {
	int group;
	struct assay_reach *reach;
	struct assay_fanotify_forgotten *n;
};

static void clear_one(void *ctx, struct assay_bytes line)
{
	struct clearing *c = ctx;
	struct assay_inode_mark mark;
	AUTO(fd) int fd = -1;
	char path[64];

	if (!assay_mark_parse(line, &mark))
		return;
	c->n->marks++;
	if (!mark.ignored)
		return;
	fd = assay_reach_open(c->reach, &mark);
	if (fd == -ESTALE) /* and the mark with it */
		return;
	assay_fmt(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0 && (fanotify_mark(c->group, FAN_MARK_REMOVE | FAN_MARK_IGNORED_MASK,
				      mark.ignored, AT_FDCWD, path) == 0 ||
			errno == ENOENT))
		c->n->cleared++;
	else
		c->n->unreached++;
}

static void grow_epoch(struct assay_fanotify *f)
{
	pthread_rwlock_wrlock(&f->marking);
	atomic_fetch_add(&f->epoch, 1);
	pthread_rwlock_unlock(&f->marking);
}

static int forget_all(struct assay_fanotify *f, struct assay_fanotify_forgotten *n)
{
	struct clearing c = { .group = current_fd(f), .n = n };
	AUTO(reach) struct assay_reach *reach = NULL;
	int r = assay_reach_new(&reach, NULL);

	c.reach = reach;
	if (r == 0)
		r = assay_fanotify_list_marks(c.group, clear_one, &c);
	if (r == 0 && !n->unreached)
		return 0;
	n->renewed = reach && assay_fanotify_renew(f, reach) == 0;
	if (n->renewed)
		return 0;
	n->flushed = true;
	/* Of the inodes only; the path is not looked at. */
	return fanotify_mark(c.group, FAN_MARK_FLUSH, 0, AT_FDCWD, "/") < 0 ? -errno : 0;
}

int assay_fanotify_forget(struct assay_fanotify *f, struct assay_fanotify_forgotten *ret)
{
	struct assay_fanotify_forgotten n = { 0 };
	int r = 0;

	pthread_mutex_lock(&f->forgetting);
	grow_epoch(f);
	if (current_fd(f) >= 0)
		r = forget_all(f, &n);
	pthread_mutex_unlock(&f->forgetting);
	*ret = n;
	return r;
}
