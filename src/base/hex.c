/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/hex.h"

#include <errno.h>

void assay_hex_encode(struct assay_bytes in, char *to)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < in.len; i++) {
		*to++ = digits[in.data[i] >> 4];
		*to++ = digits[in.data[i] & 15];
	}
	*to = '\0';
}

static int digit_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long assay_hex_decode(struct assay_bytes in, uint8_t *to, size_t cap)
{
	if (in.len % 2)
		return -EBADMSG;
	if (in.len / 2 > cap)
		return -E2BIG;
	for (size_t i = 0; i < in.len; i += 2) {
		int hi = digit_value(in.data[i]), lo = digit_value(in.data[i + 1]);

		if (hi < 0 || lo < 0)
			return -EBADMSG;
		to[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return (long)(in.len / 2);
}
