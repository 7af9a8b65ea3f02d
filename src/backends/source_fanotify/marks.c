/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Marks: those on filesystems bring events, those on inodes silence them. Always by descriptor: a
 * path could name another file by now.
 */
#include "backends/source_fanotify/group.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/fanotify.h>

/* From Linux 5.19 on; older headers lack it. */
#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x200
#endif

static uint64_t kernel_mask(uint32_t bits)
{
	return (bits & ASSAY_FANOTIFY_OPEN ? FAN_OPEN_PERM : 0u) |
	       (bits & ASSAY_FANOTIFY_EXEC ? FAN_OPEN_EXEC_PERM : 0u);
}

static int change_mark(struct assay_fanotify *f, unsigned flags, int fd, uint32_t bits)
{
	return fanotify_mark(f->fd, flags, kernel_mask(bits), fd, NULL) < 0 ? -errno : 0;
}

int assay_fanotify_mark(struct assay_fanotify *f, int fd, uint32_t bits)
{
	return change_mark(f, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, fd, bits);
}

int assay_fanotify_unmark(struct assay_fanotify *f, int fd, uint32_t bits)
{
	return change_mark(f, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM, fd, bits);
}

static int add_ignore(struct assay_fanotify *f, int fd, uint32_t bits)
{
	unsigned flags = FAN_MARK_ADD | FAN_MARK_IGNORED_MASK;
	int r;

	if (!atomic_load(&f->evictable))
		return change_mark(f, flags, fd, bits);
	r = change_mark(f, flags | FAN_MARK_EVICTABLE, fd, bits);
	if (r != -EINVAL)
		return r;
	r = change_mark(f, flags, fd, bits);
	if (r == 0)
		atomic_store(&f->evictable, false);
	return r;
}

/*
 * An ignore mark that is taken away must not take the inode's mark with it. A mark that is removed
 * stays on the inode's list until the last opener that waits on it goes on, and while it is there
 * the kernel lets every opener of the inode pass without asking (fsnotify_prepare_user_wait());
 * openers that come one after the other keep it there for as long as they come. So the mark asks
 * for the events that the filesystem's mark asks for anyway, which no change of the file clears.
 */
static int keep_mark(struct assay_fanotify *f, int fd, uint32_t bits)
{
	int r = -EINVAL;

	if (atomic_load(&f->evictable))
		r = change_mark(f, FAN_MARK_ADD | FAN_MARK_EVICTABLE, fd, bits);
	return r == -EINVAL ? change_mark(f, FAN_MARK_ADD, fd, bits) : r;
}

uint64_t assay_fanotify_epoch(const struct assay_fanotify *f)
{
	return atomic_load(&f->epoch);
}

int assay_fanotify_ignore(struct assay_fanotify *f, int fd, uint32_t bits, uint64_t epoch)
{
	int r = -ESTALE;

	pthread_rwlock_rdlock(&f->marking);
	if (epoch == atomic_load(&f->epoch))
		r = keep_mark(f, fd, bits);
	if (r == 0)
		r = add_ignore(f, fd, bits);
	pthread_rwlock_unlock(&f->marking);
	return r;
}

int assay_fanotify_unignore(struct assay_fanotify *f, int fd, uint32_t bits)
{
	int r = change_mark(f, FAN_MARK_REMOVE | FAN_MARK_IGNORED_MASK, fd, bits);

	return r == -ENOENT ? 0 : r; /* dropped by the kernel already */
}

bool assay_fanotify_has_evictable(const struct assay_fanotify *f)
{
	return atomic_load(&f->evictable);
}
