/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/der.h"

static void write_head(struct assay_wr *w, uint8_t tag, size_t len)
{
	assay_wr_u8(w, tag);
	if (len >= 256)
		assay_wr_u8(w, 0x82);
	else if (len >= 128)
		assay_wr_u8(w, 0x81);
	if (len >= 256)
		assay_wr_u8(w, (uint8_t)(len >> 8));
	assay_wr_u8(w, (uint8_t)len);
	w->full = w->full || len > UINT16_MAX;
}

void assay_der_wrap(struct assay_wr *w, uint8_t tag, struct assay_bytes body)
{
	write_head(w, tag, body.len);
	assay_wr_bytes(w, body);
}

void assay_der_integer(struct assay_wr *w, struct assay_bytes number)
{
	bool pad;

	while (number.len > 1 && number.data[0] == 0)
		number = assay_bytes(number.data + 1, number.len - 1);
	pad = number.len == 0 || (number.data[0] & 0x80);
	write_head(w, ASSAY_DER_INTEGER, number.len + pad);
	if (pad)
		assay_wr_u8(w, 0);
	assay_wr_bytes(w, number);
}
