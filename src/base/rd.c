/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/rd.h"

bool assay_rd_bytes(struct assay_rd *r, size_t len, struct assay_bytes *ret)
{
	if (assay_rd_left(r) < len)
		return false;
	*ret = assay_bytes(r->at, len);
	r->at += len;
	return true;
}

bool assay_rd_copy(struct assay_rd *r, void *to, size_t len)
{
	struct assay_bytes b;

	if (!assay_rd_bytes(r, len, &b))
		return false;
	if (len)
		memcpy(to, b.data, len);
	return true;
}

bool assay_rd_take(struct assay_rd *r, size_t len, struct assay_rd *ret)
{
	struct assay_bytes b;

	if (!assay_rd_bytes(r, len, &b))
		return false;
	*ret = assay_rd(b);
	ret->big = r->big;
	return true;
}

static bool read_number(struct assay_rd *r, size_t len, uint64_t *ret)
{
	struct assay_bytes b;
	uint64_t v = 0;

	if (!assay_rd_bytes(r, len, &b))
		return false;
	for (size_t i = 0; i < len; i++)
		v = v << 8 | b.data[r->big ? i : len - 1 - i];
	*ret = v;
	return true;
}

bool assay_rd_u8(struct assay_rd *r, uint8_t *ret)
{
	return assay_rd_copy(r, ret, 1);
}

bool assay_rd_u16(struct assay_rd *r, uint16_t *ret)
{
	uint64_t v;

	if (!read_number(r, 2, &v))
		return false;
	*ret = (uint16_t)v;
	return true;
}

/* Not by read_number(): lists of a million records are read by this. */
bool assay_rd_u32(struct assay_rd *r, uint32_t *ret)
{
	const uint8_t *p = r->at;

	if (assay_rd_left(r) < 4)
		return false;
	*ret = r->big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
		      : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
	r->at += 4;
	return true;
}

bool assay_rd_u64(struct assay_rd *r, uint64_t *ret)
{
	return read_number(r, 8, ret);
}
