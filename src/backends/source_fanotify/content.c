/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/content.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/macros.h"

/* Small enough that what was copied is still in a core's cache when it is hashed. */
#define SLICE (128u << 10)

struct assay_content {
	struct assay_crypto crypto;
	enum assay_hash alg[ASSAY_CONTENT_ALGS_MAX];
	struct assay_hash_ctx *hash[ASSAY_CONTENT_ALGS_MAX];
	size_t n;
	uint8_t *buf;
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

static int hash_file(struct assay_content *c, int fd, bool (*go_on)(void *ctx), void *ctx,
		     uint64_t *ret_bytes)
{
	uint64_t at = 0;
	ssize_t n;
	int r;

	for (;;) {
		n = pread(fd, c->buf, SLICE, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		r = hash_slice(c, assay_bytes(c->buf, (size_t)n));
		if (r < 0)
			return r;
		at += (uint64_t)n;
		if (go_on && !go_on(ctx))
			return -ECANCELED;
	}
	*ret_bytes = at;
	return 0;
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
