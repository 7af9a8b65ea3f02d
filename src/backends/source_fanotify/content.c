/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/content.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/source_fanotify/readahead.h"
#include "base/macros.h"

/* Small enough that what was copied is still in a core's cache when it is hashed. */
#define SLICE	  (128u << 10)

#define AHEAD_MIN (4 << 20) /* bytes of a file that is read by a second thread */

/* Of what that thread has read: a piece is hashed at a time, and fetched so far ahead. */
#define PIECE	   1024u
#define PREFETCH   (4 * PIECE)
#define CACHE_LINE 64u

struct assay_content {
	struct assay_crypto crypto;
	enum assay_hash alg[ASSAY_CONTENT_ALGS_MAX];
	struct assay_hash_ctx *hash[ASSAY_CONTENT_ALGS_MAX];
	size_t n;
	uint8_t *buf;
	bool filled;		       /* most of it has been used since it was given back */
	struct assay_readahead *ahead; /* borrowed; NULL: none */
};

int assay_content_new(const struct assay_crypto *crypto, const enum assay_hash *algs, size_t n_algs,
		      struct assay_content **ret, struct assay_err *err)
{
	AUTO(content) struct assay_content *c = calloc(1, sizeof(*c));
	int r;

	if (n_algs > ASSAY_CONTENT_ALGS_MAX)
		return assay_err_set(err, -E2BIG, "too many hash algorithms");
	if (!c || !(c->buf = aligned_alloc(4096, SLICE)))
		return assay_err_set(err, -ENOMEM, "out of memory");
	c->crypto = *crypto;
	for (; c->n < n_algs; c->n++) {
		c->alg[c->n] = algs[c->n];
		r = crypto->ops->hash_new(crypto->ctx, algs[c->n], &c->hash[c->n]);
		if (r < 0)
			return assay_err_set(err, r, "cannot compute %s here",
					     assay_hash_name(algs[c->n]));
	}
	*ret = TAKE(c);
	return 0;
}

void assay_content_free(struct assay_content *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		c->crypto.ops->hash_free(c->hash[i]);
	free(c->buf);
	free(c);
}

static int hash_slice(struct assay_content *c, struct assay_bytes slice)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n; i++)
		r = c->crypto.ops->hash_update(c->hash[i], slice);
	return r;
}

static void prefetch(const uint8_t *data)
{
	for (size_t i = 0; i < PIECE; i += CACHE_LINE)
		__builtin_prefetch(data + i);
}

/* What another CPU has read is in that one's cache, and a hash waits for each line of it: by
 * pieces, while the cache gets the piece after the next few. */
static int hash_far_slice(struct assay_content *c, struct assay_bytes slice)
{
	int r = 0;

	for (size_t at = 0; r == 0 && at < slice.len; at += PIECE) {
		size_t left = slice.len - at;

		if (left >= PREFETCH + PIECE)
			prefetch(slice.data + at + PREFETCH);
		r = hash_slice(c, assay_bytes(slice.data + at, left < PIECE ? left : PIECE));
	}
	return r;
}

/* The next run of bytes at @at: by ourselves, or by the thread that reads ahead. */
static ssize_t next_slice(struct assay_content *c, int fd, bool ahead, uint64_t at,
			  const uint8_t **ret)
{
	ssize_t n;

	if (ahead)
		return assay_readahead_next(c->ahead, ret);
	do
		n = pread(fd, c->buf, SLICE, (off_t)at);
	while (n < 0 && errno == EINTR);
	c->filled |= n > SLICE / 4;
	*ret = c->buf;
	return n < 0 ? -errno : n;
}

static int hash_slices(struct assay_content *c, int fd, bool ahead, bool (*go_on)(void *ctx),
		       void *ctx, uint64_t *ret_bytes)
{
	const uint8_t *slice;
	uint64_t at = 0;
	ssize_t n;
	int r;

	while ((n = next_slice(c, fd, ahead, at, &slice)) > 0) {
		r = ahead ? hash_far_slice(c, assay_bytes(slice, (size_t)n))
			  : hash_slice(c, assay_bytes(slice, (size_t)n));
		if (r < 0)
			return r;
		at += (uint64_t)n;
		if (go_on && !go_on(ctx))
			return -ECANCELED;
	}
	*ret_bytes = at;
	return (int)n;
}

void assay_content_read_ahead(struct assay_content *c, struct assay_readahead *ahead)
{
	c->ahead = ahead;
}

/* A file that is worth the hop to another thread. */
static bool reads_ahead(const struct assay_content *c, int fd)
{
	struct stat st;

	return c->ahead && fstat(fd, &st) == 0 && st.st_size >= AHEAD_MIN;
}

static int hash_file(struct assay_content *c, int fd, bool (*go_on)(void *ctx), void *ctx,
		     uint64_t *ret_bytes)
{
	bool ahead = reads_ahead(c, fd);
	int r;

	if (ahead)
		assay_readahead_start(c->ahead, fd);
	r = hash_slices(c, fd, ahead, go_on, ctx, ret_bytes);
	if (ahead)
		assay_readahead_stop(c->ahead);
	return r;
}

int assay_content_digest(struct assay_content *c, int fd, bool (*go_on)(void *ctx), void *ctx,
			 struct assay_digest *ret, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n; i++)
		r = c->crypto.ops->hash_init(c->hash[i]);
	if (r == 0)
		r = hash_file(c, fd, go_on, ctx, &bytes);
	for (size_t i = 0; r == 0 && i < c->n; i++) {
		ret[i].alg = c->alg[i];
		r = c->crypto.ops->hash_final(c->hash[i], ret[i].data);
	}
	if (r == 0)
		*ret_bytes = bytes;
	return r;
}

void assay_content_rest(struct assay_content *c)
{
	if (c->filled)
		(void)madvise(c->buf, SLICE, MADV_DONTNEED);
	c->filled = false;
	if (c->ahead)
		assay_readahead_rest(c->ahead);
}
