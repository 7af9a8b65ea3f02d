/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A borrowed run of bytes: pointer and size travel together. Never owns, never ends in NUL by
 * itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct assay_bytes {
	const uint8_t *data;
	size_t len;
};

static inline struct assay_bytes assay_bytes(const void *data, size_t len)
{
	return (struct assay_bytes){ .data = data, .len = len };
}

static inline struct assay_bytes assay_bytes_str(const char *s)
{
	return assay_bytes(s, strlen(s));
}

static inline bool assay_bytes_equal(struct assay_bytes a, struct assay_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool assay_bytes_is(struct assay_bytes a, const char *s)
{
	return assay_bytes_equal(a, assay_bytes_str(s));
}

/* True if every byte is @value; true for none. */
static inline bool assay_bytes_all(struct assay_bytes a, uint8_t value)
{
	for (size_t i = 0; i < a.len; i++)
		if (a.data[i] != value)
			return false;
	return true;
}
