/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/list_file/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "backends/list_file/private.h"
#include "base/file.h"

#define SIZE_MAX_DEFAULT (UINT64_C(16) << 30)

struct assay_list_reader {
	int fd;
	unsigned refs;
	const uint8_t *map; /* what is past the file's end is not touched */
	size_t map_len;
	uint64_t size;	  /* of the file, when it was looked at last */
	uint64_t written; /* bytes of records, when they were looked at last */
	struct assay_segment_head head;
};

static int sha256(void *ctx, struct assay_bytes in, uint8_t ret[static 32])
{
	const struct assay_crypto *crypto = ctx;

	return crypto->ops->hash(crypto->ctx, ASSAY_HASH_SHA256, in, ret);
}

static int look_at_size(struct assay_list_reader *r, struct assay_err *err)
{
	struct stat st;

	if (fstat(r->fd, &st) < 0)
		return assay_err_set(err, -errno, "cannot stat the segment: %s", strerror(errno));
	r->size = (uint64_t)st.st_size;
	return 0;
}

/* Its head, of the file as large as it is now. */
static int parse(struct assay_list_reader *r, const struct assay_crypto *crypto,
		 struct assay_err *err)
{
	struct assay_segment_hasher hasher = { sha256, (void *)(uintptr_t)crypto };
	struct assay_bytes records;
	uint64_t size;
	int rc, again;

	do {
		size = r->size;
		rc = assay_segment_parse(assay_bytes(r->map, (size_t)size), &hasher, &r->head,
					 &records, err);
		/* It may have grown between the look at its size and that at what was written. */
		again = rc < 0 ? look_at_size(r, NULL) : 0;
	} while (rc < 0 && again == 0 && r->size > size && r->size <= r->map_len);
	return rc;
}

static int map_it(struct assay_list_reader *r, uint64_t size_max, struct assay_err *err)
{
	void *at;
	int rc = look_at_size(r, err);

	if (rc < 0)
		return rc;
	r->map_len = (size_t)(size_max ? size_max : SIZE_MAX_DEFAULT);
	if (r->map_len < r->size)
		r->map_len = (size_t)r->size;
	at = mmap(NULL, r->map_len, PROT_READ, MAP_SHARED | MAP_NORESERVE, r->fd, 0);
	if (at == MAP_FAILED)
		return assay_err_set(err, -errno, "cannot map the segment: %s", strerror(errno));
	r->map = at;
	return 0;
}

int assay_list_reader_new(int fd, uint64_t size_max, const struct assay_crypto *crypto,
			  struct assay_list_reader **ret, struct assay_err *err)
{
	struct assay_list_reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return assay_err_set(err, -ENOMEM, "out of memory");
	r->fd = fd;
	r->refs = 1;
	rc = map_it(r, size_max, err);
	if (rc == 0)
		rc = parse(r, crypto, err);
	if (rc < 0) {
		r->fd = -1; /* still the caller's */
		assay_list_reader_unref(r);
		return rc;
	}
	*ret = r;
	return 0;
}

struct assay_list_reader *assay_list_reader_ref(struct assay_list_reader *r)
{
	r->refs++;
	return r;
}

void assay_list_reader_unref(struct assay_list_reader *r)
{
	if (!r || --r->refs > 0)
		return;
	if (r->map)
		munmap((void *)(uintptr_t)r->map, r->map_len);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
}

const struct assay_segment_head *assay_list_reader_head(const struct assay_list_reader *r)
{
	return &r->head;
}

int assay_list_reader_records(struct assay_list_reader *r, struct assay_bytes *ret,
			      struct assay_err *err)
{
	const uint64_t *word = (const uint64_t *)(const void *)(r->map + ASSAY_SEGMENT_COMMIT);
	uint64_t written = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	int rc = 0;

	if (written < r->written)
		return assay_err_set(err, -EBADMSG, "the segment has become shorter");
	if (written > r->size - ASSAY_SEGMENT_RECORDS)
		rc = look_at_size(r, err);
	if (rc < 0)
		return rc;
	if (r->size < ASSAY_SEGMENT_RECORDS || written > r->size - ASSAY_SEGMENT_RECORDS)
		return assay_err_set(err, -EBADMSG, "the segment is shorter than it says");
	if (written > r->map_len - ASSAY_SEGMENT_RECORDS)
		return assay_err_set(err, -E2BIG, "the segment is larger than %zu bytes",
				     r->map_len);
	r->written = written;
	*ret = assay_bytes(r->map + ASSAY_SEGMENT_RECORDS, (size_t)written);
	return 0;
}

void assay_list_reader_relax(struct assay_list_reader *r)
{
	(void)madvise((void *)(uintptr_t)r->map, r->map_len, MADV_DONTNEED);
}

int assay_list_reader_newest(int dirfd, int *ret_fd, struct assay_err *err)
{
	char name[ASSAY_LIST_FILE_NAME_MAX];
	uint64_t newest;
	int fd, rc = assay_list_file_newest(dirfd, &newest, err);

	if (rc < 0)
		return rc;
	if (newest == 0)
		return assay_err_set(err, -ENOENT, "there is no segment in the folder");
	assay_list_file_name(newest, name);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return assay_err_set(err, -errno, "cannot open '%s': %s", name, strerror(errno));
	*ret_fd = fd;
	return 0;
}
