/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/rd.h"

bool assay_rd_copy(struct assay_rd *r, void *to, size_t len)
{
	struct assay_bytes b;

	if (!assay_rd_bytes(r, len, &b))
		return false;
	if (len)
		memcpy(to, b.data, len);
	return true;
}

bool assay_rd_field16(struct assay_rd *r, size_t max, struct assay_bytes *ret)
{
	struct assay_rd at = *r;
	uint16_t len;

	if (!assay_rd_u16(&at, &len) || len > max || !assay_rd_bytes(&at, len, ret))
		return false;
	*r = at;
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

bool assay_rd_u64(struct assay_rd *r, uint64_t *ret)
{
	return read_number(r, 8, ret);
}
