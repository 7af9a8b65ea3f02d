/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a segment: what a kernel that crashed has lost is cut, everything else that does not fit
 * is refused and left alone. */
#include "backends/list_file/private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "engine/core/digest.h"

int assay_list_file_map(const struct assay_list_file *l, struct list_segment *s, int fd,
			struct assay_err *err)
{
	struct stat st;
	void *at;

	s->fd = fd;
	s->map_len = (size_t)l->config.size_max;
	if (fstat(fd, &st) < 0)
		return assay_err_set(err, -errno, "cannot stat the segment: %s", strerror(errno));
	s->allocated = (uint64_t)st.st_size;
	if (s->map_len < s->allocated)
		s->map_len = (size_t)s->allocated;
	at = mmap(NULL, ASSAY_SEGMENT_RECORDS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return assay_err_set(err, -errno, "cannot map the segment: %s", strerror(errno));
	s->front = at;
	at = mmap(NULL, s->map_len, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (at == MAP_FAILED)
		return assay_err_set(err, -errno, "cannot map the segment: %s", strerror(errno));
	s->map = at;
	return 0;
}

/* Its template digest is that of its data; the data of a violation is protected by nothing. */
static bool digest_holds(const struct assay_list_file *l, const struct assay_record *r)
{
	uint8_t digest[ASSAY_HASH_SIZE_MAX];

	if (r->violation)
		return true;
	return assay_template_digest(&l->crypto, ASSAY_HASH_SHA1, r, digest) == 0 &&
	       memcmp(digest, r->template_digest.data, r->template_digest.len) == 0;
}

/* Bytes of whole records from the start. What was synced needs no digest to be trusted not to be
 * lost; its shape is checked all the same. */
static uint64_t count_sound(const struct assay_list_file *l, struct assay_bytes records,
			    uint64_t synced, struct assay_err *why)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_rd in = assay_rd(records);
	struct assay_record r;

	while (!assay_rd_end(&in)) {
		uint64_t at = assay_rd_offset(&in);

		if (assay_record_parse(&in, &form, &r, why) < 0)
			return at;
		if (at + r.size > synced && !digest_holds(l, &r)) {
			assay_err_set(why, -EBADMSG, "a template digest is wrong");
			return at;
		}
	}
	return records.len;
}

/* What is cut is zeroed, so that the next record stands before nothing. */
static int cut_tail(struct assay_list_file *l, uint64_t sound, uint64_t written,
		    struct assay_err *err)
{
	static const uint8_t zeros[4096];

	assay_list_file_set_written(&l->now, sound);
	for (uint64_t at = sound; at < written;) {
		uint64_t n = written - at < sizeof(zeros) ? written - at : sizeof(zeros);
		ssize_t done =
			pwrite(l->now.fd, zeros, (size_t)n, (off_t)(ASSAY_SEGMENT_RECORDS + at));

		if (done <= 0)
			return assay_err_set(err, done < 0 ? -errno : -EIO,
					     "cannot cut the segment's end");
		at += (uint64_t)done;
	}
	if (fdatasync(l->now.fd) < 0)
		return assay_err_set(err, -errno, "cannot sync the segment: %s", strerror(errno));
	l->now.cut = written - sound;
	return 0;
}

static int repair(struct assay_list_file *l, uint64_t number, struct assay_bytes records,
		  const struct assay_segment_commit *commit, struct assay_err *err)
{
	bool same_boot = memcmp(commit->boot_id, l->config.boot_id, sizeof(commit->boot_id)) == 0;
	struct assay_err why = { 0 };
	uint64_t sound =
		count_sound(l, records, same_boot ? commit->written : commit->synced, &why);

	if (sound < records.len && (same_boot || sound < commit->synced))
		return assay_err_at(
			err, -EBADMSG, ASSAY_SEGMENT_RECORDS + sound,
			"segment-%08llu is damaged (%s); nothing was changed: move the folder away "
			"to begin a new list",
			(unsigned long long)number, why.text);
	memcpy(l->now.front + ASSAY_SEGMENT_COMMIT + 16, l->config.boot_id,
	       sizeof(l->config.boot_id));
	if (sound == records.len)
		return 0;
	return cut_tail(l, sound, records.len, err);
}

int assay_list_file_load(struct assay_list_file *l, uint64_t number, struct assay_err *err)
{
	struct assay_segment_hasher hasher = assay_list_file_hasher(l);
	struct assay_segment_commit commit;
	char name[ASSAY_LIST_FILE_NAME_MAX];
	struct assay_bytes file, records;
	int fd, rc;

	assay_list_file_name(number, name);
	fd = openat(l->dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return assay_err_set(err, -errno, "cannot open '%s': %s", name, strerror(errno));
	rc = assay_list_file_map(l, &l->now, fd, err);
	if (rc < 0)
		return rc;
	file = assay_bytes(l->now.map, (size_t)l->now.allocated);
	rc = assay_segment_parse(file, &hasher, &l->now.head, &records, err);
	if (rc == 0)
		rc = assay_segment_parse_commit(file, &commit, err);
	if (rc < 0) {
		assay_err_prefix(err, "'%s'", name);
		return rc;
	}
	if (l->now.head.number != number)
		return assay_err_at(err, -EBADMSG, 16, "'%s' is segment %llu", name,
				    (unsigned long long)l->now.head.number);
	return repair(l, number, records, &commit, err);
}
