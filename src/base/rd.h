/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bounded reader: the only way untrusted bytes are looked at. The check is inside the read; a
 * read that does not fit returns false and leaves the reader where it was. A sub-reader cannot see
 * past its parent, so nested records are safe.
 */
#pragma once

#include "base/bytes.h"
#include "base/macros.h"

struct assay_rd {
	const uint8_t *start, *at, *end;
	bool big; /* byte order of assay_rd_u16/u32/u64 */
};

static inline struct assay_rd assay_rd(struct assay_bytes in)
{
	return (struct assay_rd){ .start = in.data, .at = in.data, .end = in.data + in.len };
}

static inline size_t assay_rd_left(const struct assay_rd *r)
{
	return (size_t)(r->end - r->at);
}

static inline size_t assay_rd_offset(const struct assay_rd *r)
{
	return (size_t)(r->at - r->start);
}

/* Everything was consumed. */
static inline bool assay_rd_end(const struct assay_rd *r)
{
	return r->at == r->end;
}

/* This and assay_rd_u32() are here for lists of a million records. */
ASSAY_MUST_CHECK static inline bool assay_rd_bytes(struct assay_rd *r, size_t len,
						   struct assay_bytes *ret)
{
	if (assay_rd_left(r) < len)
		return false;
	*ret = assay_bytes(r->at, len);
	r->at += len;
	return true;
}

bool assay_rd_copy(struct assay_rd *r, void *to, size_t len) ASSAY_MUST_CHECK;
/* u16 length, then as many bytes, at most @max: a TPM's TPM2B. */
bool assay_rd_field16(struct assay_rd *r, size_t max, struct assay_bytes *ret) ASSAY_MUST_CHECK;
/* A reader over the next @len bytes, of the same byte order; offsets count from its own start. */
bool assay_rd_take(struct assay_rd *r, size_t len, struct assay_rd *ret) ASSAY_MUST_CHECK;

bool assay_rd_u8(struct assay_rd *r, uint8_t *ret) ASSAY_MUST_CHECK;
/* In the reader's byte order (r->big). */
bool assay_rd_u16(struct assay_rd *r, uint16_t *ret) ASSAY_MUST_CHECK;
ASSAY_MUST_CHECK static inline bool assay_rd_u32(struct assay_rd *r, uint32_t *ret)
{
	const uint8_t *p = r->at;

	if (assay_rd_left(r) < 4)
		return false;
	*ret = r->big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
		      : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
	r->at += 4;
	return true;
}
bool assay_rd_u64(struct assay_rd *r, uint64_t *ret) ASSAY_MUST_CHECK;
