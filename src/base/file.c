/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fmt.h"

void assay_file_free(struct assay_file *f)
{
	if (!f->bytes.data)
		return;
	if (f->mapped)
		munmap((void *)(uintptr_t)f->bytes.data, f->bytes.len);
	else
		free((void *)(uintptr_t)f->bytes.data);
	*f = (struct assay_file){ 0 };
}

static int open_path(int dirfd, const char *path, struct assay_err *err)
{
	int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					: openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return assay_err_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
}

/* Reads to the end of @fd; sizes of securityfs files and pipes are not known before. */
static int read_all(int fd, size_t max, uint8_t **ret, size_t *ret_len)
{
	size_t cap = 65536, len = 0;
	uint8_t *buf = malloc(cap), *bigger;
	ssize_t n;

	while (buf) {
		n = read(fd, buf + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || len + (size_t)n > max) {
			free(buf);
			return n < 0 ? -errno : -E2BIG;
		}
		if (n == 0) {
			*ret = buf;
			*ret_len = len;
			return 0;
		}
		len += (size_t)n;
		if (len < cap)
			continue;
		bigger = realloc(buf, cap *= 2);
		if (!bigger)
			free(buf);
		buf = bigger;
	}
	return -ENOMEM;
}

static int read_error(struct assay_err *err, int r, const char *path, size_t max)
{
	if (r == -E2BIG)
		return assay_err_set(err, r, "'%s' is larger than the limit of %zu bytes", path,
				     max);
	return assay_err_set(err, r, "cannot read '%s': %s", path, strerror(-r));
}

int assay_file_read_fd(int fd, const char *path, size_t max, struct assay_file *ret,
		       struct assay_err *err)
{
	uint8_t *data = NULL;
	size_t len = 0;
	int r = read_all(fd, max, &data, &len);

	if (r < 0)
		return read_error(err, r, path, max);
	*ret = (struct assay_file){ .bytes = assay_bytes(data, len) };
	return 0;
}

int assay_file_read(int dirfd, const char *path, size_t max, struct assay_file *ret,
		    struct assay_err *err)
{
	AUTO(fd) int fd = open_path(dirfd, path, err);

	return fd < 0 ? fd : assay_file_read_fd(fd, path, max, ret, err);
}

/* What cannot be mapped fills memory. */
#define STREAM_MAX ((size_t)2 << 30)

int assay_file_map(int dirfd, const char *path, size_t max, struct assay_file *ret,
		   struct assay_err *err)
{
	AUTO(fd) int fd = open_path(dirfd, path, err);
	struct stat st;
	void *at;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return read_error(err, -errno, path, max);
	/* By the descriptor that is open: whoever writes a FIFO may be gone already. */
	if (!S_ISREG(st.st_mode) || st.st_size == 0 || strcmp(path, "-") == 0)
		return assay_file_read_fd(fd, path, max < STREAM_MAX ? max : STREAM_MAX, ret, err);
	if ((uint64_t)st.st_size > max)
		return read_error(err, -E2BIG, path, max);
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return assay_file_read_fd(fd, path, max, ret, err);
	*ret = (struct assay_file){ .bytes = assay_bytes(at, (size_t)st.st_size), .mapped = true };
	return 0;
}

int assay_file_write_all(int fd, struct assay_bytes b)
{
	while (b.len) {
		ssize_t n = write(fd, b.data, b.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		b = assay_bytes(b.data + n, b.len - (size_t)n);
	}
	return 0;
}

int assay_file_replace(int dirfd, const char *path, unsigned mode, struct assay_bytes b,
		       struct assay_err *err)
{
	char beside[4096];
	AUTO(fd) int fd = -1;
	int r;

	if (assay_fmt(beside, sizeof(beside), "%s.new", path) >= sizeof(beside))
		return assay_err_set(err, -ENAMETOOLONG, "path '%s' is too long", path);
	fd = openat(dirfd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return assay_err_set(err, -errno, "cannot create '%s': %s", beside,
				     strerror(errno));
	r = assay_file_write_all(fd, b);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		r = -errno;
	if (r == 0 && renameat(dirfd, beside, dirfd, path) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	unlinkat(dirfd, beside, 0);
	return assay_err_set(err, r, "cannot write '%s': %s", path, strerror(-r));
}
