/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/list_file/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/num.h"

#define PREALLOC_DEFAULT (1u << 20)
#define SIZE_MAX_DEFAULT (16ull << 30)
#define RESERVE_DEFAULT	 (64u << 10)

static int hash_sha256(void *ctx, struct assay_bytes in, uint8_t ret[static 32])
{
	const struct assay_crypto *crypto = ctx;

	return crypto->ops->hash(crypto->ctx, ASSAY_HASH_SHA256, in, ret);
}

struct assay_segment_hasher assay_list_file_hasher(struct assay_list_file *l)
{
	return (struct assay_segment_hasher){ .sha256 = hash_sha256, .ctx = &l->crypto };
}

/* The lock's file says who has it; a lock that a dead process held is free. */
static int take_lock(struct assay_list_file *l, struct assay_err *err)
{
	char text[32] = "";
	size_t len;

	l->lock_fd = openat(l->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->lock_fd < 0)
		return assay_err_set(err, -errno, "cannot open 'lock': %s", strerror(errno));
	if (flock(l->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		int code = -errno;
		ssize_t n = pread(l->lock_fd, text, sizeof(text) - 1, 0);

		text[n > 0 ? n - 1 : 0] = '\0';
		return assay_err_set(err, code, "process %s has the list open", text);
	}
	len = assay_fmt(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(l->lock_fd, 0) < 0 || pwrite(l->lock_fd, text, len, 0) != (ssize_t)len)
		return assay_err_set(err, -errno, "cannot write 'lock': %s", strerror(errno));
	return 0;
}

void assay_list_file_name(uint64_t number, char ret[static ASSAY_LIST_FILE_NAME_MAX])
{
	assay_fmt(ret, ASSAY_LIST_FILE_NAME_MAX, "segment-%08llu", (unsigned long long)number);
}

bool assay_list_file_is_segment(const char *name, uint64_t *ret)
{
	static const char prefix[] = "segment-";
	struct assay_bytes digits;

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return false;
	digits = assay_bytes_str(name + strlen(prefix));
	return digits.len >= 8 && assay_num_parse(digits, 10, UINT64_MAX, ret) == 0;
}

int assay_list_file_newest(int dirfd, uint64_t *ret, struct assay_err *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t number;

	if (!dir) {
		int code = -errno;

		if (fd >= 0)
			close(fd);
		return assay_err_set(err, code, "cannot read the folder of the list: %s",
				     strerror(-code));
	}
	*ret = 0;
	while ((entry = readdir(dir)))
		if (assay_list_file_is_segment(entry->d_name, &number) && number > *ret)
			*ret = number;
	closedir(dir);
	return 0;
}

static int check_config(const struct assay_list_file_config *config, struct assay_list_file *l)
{
	if (config->size != sizeof(*config))
		return -EINVAL;
	l->config = *config;
	if (l->config.prealloc == 0)
		l->config.prealloc = PREALLOC_DEFAULT;
	if (l->config.size_max == 0)
		l->config.size_max = SIZE_MAX_DEFAULT;
	if (l->config.reserve == 0)
		l->config.reserve = RESERVE_DEFAULT;
	return l->config.size_max > ASSAY_SEGMENT_RECORDS + l->config.reserve ? 0 : -EINVAL;
}

int assay_list_file_open(int dirfd, const struct assay_list_file_config *config,
			 const struct assay_crypto *crypto, struct assay_list_file **ret,
			 struct assay_err *err)
{
	AUTO(list_file) struct assay_list_file *l = calloc(1, sizeof(*l));
	uint64_t newest;
	int rc;

	if (!l)
		return assay_err_set(err, -ENOMEM, "no memory for the list");
	l->dirfd = dirfd;
	l->crypto = *crypto;
	l->now.fd = l->before.fd = l->next.fd = l->lock_fd = -1;
	rc = check_config(config, l);
	if (rc < 0)
		return assay_err_set(err, rc, "sizes of the list are out of range");
	rc = take_lock(l, err);
	if (rc == 0)
		rc = assay_list_file_newest(dirfd, &newest, err);
	if (rc == 0 && newest > 0)
		rc = assay_list_file_load(l, newest, err);
	if (rc == 0)
		*ret = TAKE(l);
	return rc;
}

void assay_list_file_unmap(struct list_segment *s)
{
	if (s->map)
		munmap((void *)(uintptr_t)s->map, s->map_len);
	if (s->front)
		munmap(s->front, ASSAY_SEGMENT_RECORDS);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct list_segment){ .fd = -1 };
}

void assay_list_file_free(struct assay_list_file *l)
{
	if (!l)
		return;
	assay_list_file_unmap(&l->now);
	assay_list_file_unmap(&l->before);
	assay_list_file_unprepare(l);
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	free(l);
}

const struct assay_segment_head *assay_list_file_head(const struct assay_list_file *l)
{
	return l->now.fd >= 0 ? &l->now.head : NULL;
}

struct assay_bytes assay_list_file_checksum(const struct assay_list_file *l)
{
	return assay_bytes(l->now.front + ASSAY_SEGMENT_CHECKSUM, 32);
}

struct assay_bytes assay_list_file_records(const struct assay_list_file *l)
{
	if (l->now.fd < 0)
		return assay_bytes(NULL, 0);
	return assay_bytes(l->now.map + ASSAY_SEGMENT_RECORDS,
			   (size_t)assay_list_file_written(&l->now));
}

uint64_t assay_list_file_cut(const struct assay_list_file *l)
{
	return l->now.cut;
}
