/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bounded writer: the reader's twin, over a buffer that the caller owns. A write that does not
 * fit writes nothing more and is remembered; check assay_wr_ok() once, at the end.
 */
#pragma once

#include "base/bytes.h"
#include "base/macros.h"

struct assay_wr {
	uint8_t *data;
	size_t cap, len;
	bool big;  /* byte order of assay_wr_u16/u32/u64 */
	bool full; /* something did not fit */
};

static inline struct assay_wr assay_wr(void *data, size_t cap)
{
	return (struct assay_wr){ .data = data, .cap = cap };
}

static inline bool assay_wr_ok(const struct assay_wr *w)
{
	return !w->full;
}

/* What was written so far; borrowed from the caller's buffer. */
static inline struct assay_bytes assay_wr_done(const struct assay_wr *w)
{
	return assay_bytes(w->data, w->len);
}

void assay_wr_raw(struct assay_wr *w, const void *data, size_t len);
void assay_wr_bytes(struct assay_wr *w, struct assay_bytes b);
void assay_wr_str(struct assay_wr *w, const char *s); /* without the NUL */
void assay_wr_zero(struct assay_wr *w, size_t len);
void assay_wr_u8(struct assay_wr *w, uint8_t v);
void assay_wr_u16(struct assay_wr *w, uint16_t v);
void assay_wr_u32(struct assay_wr *w, uint32_t v);
void assay_wr_u64(struct assay_wr *w, uint64_t v);
/* u32 length, then the bytes: the shape of a template field. */
void assay_wr_field(struct assay_wr *w, struct assay_bytes b);
/* u16 length, then the bytes: a TPM's TPM2B. What is longer does not fit. */
void assay_wr_field16(struct assay_wr *w, struct assay_bytes b);
/* Two digits a byte, in lower case. */
void assay_wr_hex(struct assay_wr *w, struct assay_bytes b);
/* At most ASSAY_WR_FMT_MAX bytes of text, without the NUL: numbers and words of ours. A longer one
 * does not fit: what others chose is for assay_wr_str(). See base/fmt.h for the conversions. */
#define ASSAY_WR_FMT_MAX 511u
void assay_wr_fmt(struct assay_wr *w, const char *fmt, ...) ASSAY_PRINTF(2, 3);
