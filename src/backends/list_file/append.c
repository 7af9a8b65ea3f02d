/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing: records, space for them, and new segments. Nothing that was written is written again. */
#include "backends/list_file/private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "base/file.h"

#define BLOCK	    4096u	 /* what direct writes are aligned to */
#define PIECE	    (256u << 10) /* of one such write */

#define REST	    (128u << 10) /* of the map: at least so much is given back at once */

#define NEW_NAME    "segment.new"
#define HASH_ROUNDS 8		/* over what came during the one before */
#define HASH_REST   (64u << 10) /* bytes that are not worth another */

uint64_t assay_list_file_written(const struct list_segment *s)
{
	return __atomic_load_n(assay_list_file_word(s, 0), __ATOMIC_ACQUIRE);
}

void assay_list_file_set_written(struct list_segment *s, uint64_t len)
{
	__atomic_store_n(assay_list_file_word(s, 0), len, __ATOMIC_RELEASE);
}

/* Only where a block that was written is later written in place. */
static bool updates_in_place(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC);
}

/* A block's first write after fallocate() changes the filesystem's own data, so that each sync
 * would wait for its journal too. Blocks are therefore written once beforehand, past the page
 * cache: there the large folios that zeros leave would be written back whole for each record. No
 * more than a sync's speed depends on it. */
static void write_blocks(int fd, uint64_t from, uint64_t to)
{
	int flags = fcntl(fd, F_GETFL);
	uint64_t begin;
	void *zeros;

	from = (from + BLOCK - 1) / BLOCK * BLOCK;
	to = to / BLOCK * BLOCK;
	begin = from;
	if (from >= to || !updates_in_place(fd) || !(zeros = aligned_alloc(BLOCK, PIECE)))
		return;
	memset(zeros, 0, PIECE);
	if (fcntl(fd, F_SETFL, flags | O_DIRECT) == 0) {
		while (from < to) {
			ssize_t n = pwrite(fd, zeros, to - from < PIECE ? to - from : PIECE,
					   (off_t)from);

			if (n <= 0)
				break;
			from += (uint64_t)n;
		}
		(void)fcntl(fd, F_SETFL, flags);
	}
	free(zeros);
	/* A record fills a part of a page, and would wait until the rest of it has been read. */
	(void)posix_fadvise(fd, (off_t)begin, (off_t)(to - begin), POSIX_FADV_WILLNEED);
}

/* Where the filesystem cannot preallocate, zeros are written. */
static int extend_by_zeros(int fd, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[4096];

	while (from < to) {
		uint64_t n = to - from < sizeof(zeros) ? to - from : sizeof(zeros);
		ssize_t done = pwrite(fd, zeros, (size_t)n, (off_t)from);

		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		from += (uint64_t)done;
	}
	return 0;
}

/* Blocks of a file for what will be written there. */
static int preallocate(int fd, uint64_t from, uint64_t to)
{
	int rc = 0;

	if (fallocate(fd, 0, (off_t)from, (off_t)(to - from)) < 0)
		rc = -errno;
	if (rc == -EOPNOTSUPP)
		rc = extend_by_zeros(fd, from, to);
	else if (rc == 0)
		write_blocks(fd, from, to);
	return rc == -EDQUOT || rc == -EFBIG ? -ENOSPC : rc;
}

static int grow_to(struct assay_list_file *l, uint64_t size)
{
	int rc = preallocate(l->now.fd, l->now.allocated, size);

	if (rc == 0)
		l->now.allocated = size;
	return rc;
}

/* Bytes of the file so that @len bytes of records fit; as many more as the settings say, if there
 * is room. Errors: -ENOSPC. */
static int make_room(struct assay_list_file *l, uint64_t len)
{
	uint64_t need = ASSAY_SEGMENT_RECORDS + len;
	uint64_t want = need + l->config.prealloc;
	int rc;

	if (need <= l->now.allocated)
		return 0;
	if (need > l->config.size_max)
		return -ENOSPC;
	if (want > l->config.size_max)
		want = l->config.size_max;
	rc = grow_to(l, want);
	return rc == -ENOSPC ? grow_to(l, need) : rc;
}

/* On return the record is in the page cache and counted: it survives this process. */
static int append_record(void *ctx, struct assay_bytes record, bool reserve)
{
	struct assay_list_file *l = ctx;
	uint64_t written;
	int rc;

	if (l->now.fd < 0)
		return -EINVAL;
	written = assay_list_file_written(&l->now);
	rc = make_room(l, written + record.len + (reserve ? 0 : l->config.reserve));
	if (rc < 0)
		return rc;
	for (size_t at = 0; at < record.len;) {
		ssize_t n = pwrite(l->now.fd, record.data + at, record.len - at,
				   (off_t)(ASSAY_SEGMENT_RECORDS + written + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
				       ? -ENOSPC
				       : -EIO;
		at += (size_t)n;
	}
	assay_list_file_set_written(&l->now, written + record.len);
	return 0;
}

static const struct assay_append_ops append_ops = { .append = append_record };

struct assay_append assay_list_file_port(struct assay_list_file *l)
{
	return (struct assay_append){ .ops = &append_ops, .ctx = l };
}

/* What is synced is seldom read again, and then it comes out of the page cache, or from the medium:
 * it needs not be resident, nor locked, as the rest of the process is. The newest stays, for who
 * digests a batch. A kernel that cannot do that keeps it. */
static void rest_map(struct list_segment *s, uint64_t synced)
{
	uint64_t end = (ASSAY_SEGMENT_RECORDS + synced) / BLOCK * BLOCK;

	if (end < __atomic_load_n(&s->rested, __ATOMIC_RELAXED) + 2 * (uint64_t)REST)
		return;
	__atomic_store_n(&s->rested, end - REST, __ATOMIC_RELAXED);
	(void)madvise((void *)(uintptr_t)s->map, (size_t)(end - REST), MADV_DONTNEED_LOCKED);
}

static int sync_segment(struct list_segment *s)
{
	uint64_t written;

	if (s->fd < 0)
		return 0;
	written = assay_list_file_written(s);
	if (fdatasync(s->fd) < 0)
		return -errno;
	__atomic_store_n(assay_list_file_word(s, 1), written, __ATOMIC_RELEASE);
	rest_map(s, written);
	return 0;
}

int assay_list_file_sync(struct assay_list_file *l)
{
	return sync_segment(&l->now);
}

/* ---- the next segment ----------------------------------------------------------------------- */

void assay_list_file_unprepare(struct assay_list_file *l)
{
	l->crypto.ops->hash_free(l->hash);
	l->hash = NULL;
	l->hashed = 0;
	if (l->next.fd < 0)
		return;
	assay_list_file_unmap(&l->next);
	(void)unlinkat(l->dirfd, NEW_NAME, 0);
}

/* Takes the records that came since into the digest. */
static int hash_more(struct assay_list_file *l)
{
	struct assay_bytes all = assay_list_file_records(l);
	int rc = l->crypto.ops->hash_update(l->hash, assay_bytes(all.data + l->hashed,
								 all.len - (size_t)l->hashed));

	if (rc == 0)
		l->hashed = all.len;
	return rc;
}

/* Who appends meanwhile is slower than a digest: what is left at the end is little. */
static int hash_so_far(struct assay_list_file *l)
{
	int rc;

	if (l->now.fd < 0)
		return 0;
	rc = l->crypto.ops->hash_new(l->crypto.ctx, ASSAY_HASH_SHA256, &l->hash);
	for (unsigned i = 0; rc == 0 && i < HASH_ROUNDS; i++) {
		rc = hash_more(l);
		if (assay_list_file_written(&l->now) - l->hashed < HASH_REST)
			break;
	}
	return rc;
}

/* With space for the head, and for what the reserve is for. */
static int create_file(struct assay_list_file *l, int *ret)
{
	AUTO(fd) int fd = -1;
	int rc;

	if (unlinkat(l->dirfd, NEW_NAME, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(l->dirfd, NEW_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = preallocate(fd, 0, ASSAY_SEGMENT_RECORDS + l->config.reserve);
	if (rc < 0) {
		(void)unlinkat(l->dirfd, NEW_NAME, 0);
		return rc;
	}
	*ret = TAKE_FD(fd);
	return 0;
}

static int cannot_begin(uint64_t number, int rc, struct assay_err *err)
{
	return assay_err_set(err, rc, "cannot begin segment %llu: %s", (unsigned long long)number,
			     strerror(-rc));
}

static uint64_t next_number(const struct assay_list_file *l)
{
	return l->now.fd < 0 ? 1 : l->now.head.number + 1;
}

int assay_list_file_prepare(struct assay_list_file *l, struct assay_err *err)
{
	int fd = -1, rc;

	assay_list_file_unprepare(l);
	rc = hash_so_far(l);
	if (rc == 0)
		rc = sync_segment(&l->now);
	if (rc == 0)
		rc = create_file(l, &fd);
	if (rc == 0)
		rc = assay_list_file_map(l, &l->next, fd, NULL);
	if (rc == 0)
		return 0;
	assay_list_file_unprepare(l);
	return cannot_begin(next_number(l), rc, err);
}

/* What the new segment says of the one before it. */
static int link_to_previous(struct assay_list_file *l, struct assay_segment_head *head)
{
	int rc;

	head->number = next_number(l);
	head->previous_len = 0;
	memset(head->previous, 0, sizeof(head->previous));
	if (l->now.fd < 0)
		return 0;
	rc = hash_more(l);
	head->previous_len = l->hashed;
	return rc < 0 ? rc : l->crypto.ops->hash_final(l->hash, head->previous);
}

/* Head and commit page of a segment without records. */
static int write_front(struct assay_list_file *l, const struct assay_segment_head *head)
{
	struct assay_segment_hasher hasher = assay_list_file_hasher(l);
	uint8_t *front = calloc(1, ASSAY_SEGMENT_RECORDS);
	struct assay_wr w = assay_wr(front, ASSAY_SEGMENT_RECORDS);
	int rc;

	if (!front)
		return -ENOMEM;
	rc = assay_segment_encode(head, &hasher, &w);
	memcpy(front + ASSAY_SEGMENT_COMMIT + 16, l->config.boot_id, sizeof(l->config.boot_id));
	if (rc == 0)
		rc = assay_file_write_all(l->next.fd, assay_bytes(front, ASSAY_SEGMENT_RECORDS));
	free(front);
	return rc;
}

int assay_list_file_begin(struct assay_list_file *l, const struct assay_segment_head *head,
			  struct assay_err *err)
{
	struct assay_segment_head h = *head;
	int rc = l->next.fd < 0 ? assay_list_file_prepare(l, err) : 0;

	if (rc < 0)
		return rc;
	rc = link_to_previous(l, &h);
	if (rc == 0)
		rc = write_front(l, &h);
	if (rc < 0) {
		assay_list_file_unprepare(l);
		return cannot_begin(h.number, rc, err);
	}
	l->before = l->now;
	l->now = l->next;
	l->now.head = h;
	l->next = (struct list_segment){ .fd = -1 };
	l->unnamed = true;
	assay_list_file_unprepare(l);
	return 0;
}

static int name_file(struct assay_list_file *l, const char *name)
{
	int rc;

	if (renameat(l->dirfd, NEW_NAME, l->dirfd, name) < 0)
		return -errno;
	if (fsync(l->dirfd) == 0)
		return 0;
	rc = -errno;
	(void)renameat(l->dirfd, name, l->dirfd, NEW_NAME);
	return rc;
}

int assay_list_file_keep(struct assay_list_file *l, struct assay_err *err)
{
	char name[ASSAY_LIST_FILE_NAME_MAX];
	int rc = sync_segment(&l->before); /* its last records came since it was prepared */

	if (rc == 0)
		rc = sync_segment(&l->now); /* the file's size too: only times are left out */
	assay_list_file_name(l->now.head.number, name);
	if (rc == 0)
		rc = name_file(l, name);
	if (rc < 0)
		return cannot_begin(l->now.head.number, rc, err);
	l->unnamed = false;
	assay_list_file_unmap(&l->before);
	return 0;
}

bool assay_list_file_drop(struct assay_list_file *l)
{
	if (!l->unnamed)
		return false;
	assay_list_file_unmap(&l->now);
	(void)unlinkat(l->dirfd, NEW_NAME, 0);
	l->now = l->before;
	l->before = (struct list_segment){ .fd = -1 };
	l->unnamed = false;
	return true;
}
