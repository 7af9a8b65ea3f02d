/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/wr.h"

#include <stdarg.h>

#include "base/fmt.h"

/* Room for @len more bytes, or NULL and the writer is full. */
static uint8_t *reserve(struct assay_wr *w, size_t len)
{
	uint8_t *at;

	if (w->full || w->cap - w->len < len) {
		w->full = true;
		return NULL;
	}
	at = w->data + w->len;
	w->len += len;
	return at;
}

void assay_wr_raw(struct assay_wr *w, const void *data, size_t len)
{
	uint8_t *at = reserve(w, len);

	if (at && len)
		memcpy(at, data, len);
}

void assay_wr_bytes(struct assay_wr *w, struct assay_bytes b)
{
	assay_wr_raw(w, b.data, b.len);
}

void assay_wr_str(struct assay_wr *w, const char *s)
{
	assay_wr_raw(w, s, strlen(s));
}

void assay_wr_zero(struct assay_wr *w, size_t len)
{
	uint8_t *at = reserve(w, len);

	if (at && len)
		memset(at, 0, len);
}

static void write_number(struct assay_wr *w, uint64_t v, size_t len)
{
	uint8_t *at = reserve(w, len);

	if (!at)
		return;
	for (size_t i = 0; i < len; i++)
		at[w->big ? len - 1 - i : i] = (uint8_t)(v >> (8 * i));
}

void assay_wr_u8(struct assay_wr *w, uint8_t v)
{
	write_number(w, v, 1);
}

void assay_wr_u16(struct assay_wr *w, uint16_t v)
{
	write_number(w, v, 2);
}

void assay_wr_u32(struct assay_wr *w, uint32_t v)
{
	write_number(w, v, 4);
}

void assay_wr_u64(struct assay_wr *w, uint64_t v)
{
	write_number(w, v, 8);
}

void assay_wr_field(struct assay_wr *w, struct assay_bytes b)
{
	if (b.len > UINT32_MAX) {
		w->full = true;
		return;
	}
	assay_wr_u32(w, (uint32_t)b.len);
	assay_wr_bytes(w, b);
}

void assay_wr_field16(struct assay_wr *w, struct assay_bytes b)
{
	if (b.len > UINT16_MAX) {
		w->full = true;
		return;
	}
	assay_wr_u16(w, (uint16_t)b.len);
	assay_wr_bytes(w, b);
}

void assay_wr_hex(struct assay_wr *w, struct assay_bytes b)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < b.len; i++) {
		assay_wr_u8(w, (uint8_t)digits[b.data[i] >> 4]);
		assay_wr_u8(w, (uint8_t)digits[b.data[i] & 15]);
	}
}

void assay_wr_fmt(struct assay_wr *w, const char *fmt, ...)
{
	char text[ASSAY_WR_FMT_MAX + 1];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = assay_fmt_v(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= sizeof(text))
		w->full = true;
	else
		assay_wr_raw(w, text, n);
}
