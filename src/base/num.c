/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/num.h"

#include <errno.h>

static unsigned digit_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 99;
}

int assay_num_parse(struct assay_bytes in, unsigned base, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (base == 16 && in.len > 2 && in.data[0] == '0' && (in.data[1] | 0x20) == 'x')
		in = assay_bytes(in.data + 2, in.len - 2);
	if (in.len == 0)
		return -EBADMSG;
	for (size_t i = 0; i < in.len; i++) {
		unsigned d = digit_value(in.data[i]);

		if (d >= base)
			return -EBADMSG;
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)d, &v) || v > max)
			return -ERANGE;
	}
	*ret = v;
	return 0;
}
