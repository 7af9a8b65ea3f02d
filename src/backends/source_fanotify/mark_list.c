/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/mark_list.h"

#include <sys/sysmacros.h>

#include "base/hex.h"
#include "base/num.h"

#define MINOR_BITS 20u /* of the kernel's own device numbers, which stand there as they are */

/* "KEY:VALUE" of the next word. */
static bool take_pair(struct assay_bytes *line, struct assay_bytes *ret_key,
		      struct assay_bytes *ret_value)
{
	size_t end = 0, colon;

	while (line->len && line->data[0] == ' ')
		*line = assay_bytes(line->data + 1, line->len - 1);
	while (end < line->len && line->data[end] != ' ')
		end++;
	for (colon = 0; colon < end && line->data[colon] != ':';)
		colon++;
	if (colon == end)
		return false;
	*ret_key = assay_bytes(line->data, colon);
	*ret_value = assay_bytes(line->data + colon + 1, end - colon - 1);
	*line = assay_bytes(line->data + end, line->len - end);
	return true;
}

static bool take_prefix(struct assay_bytes *line, const char *prefix)
{
	size_t n = strlen(prefix);

	if (line->len < n || memcmp(line->data, prefix, n) != 0)
		return false;
	*line = assay_bytes(line->data + n, line->len - n);
	return true;
}

bool assay_mark_parse(struct assay_bytes line, struct assay_inode_mark *ret)
{
	struct assay_inode_mark m = { .ignored = UINT32_MAX };
	struct assay_bytes key, value;
	uint64_t number, bytes = 0;
	bool has_type = false;
	long n;

	if (!take_prefix(&line, "fanotify ino:"))
		return false;
	while (line.len && line.data[0] != ' ')
		line = assay_bytes(line.data + 1, line.len - 1);
	while (take_pair(&line, &key, &value)) {
		bool is_number = assay_num_parse(value, 16, UINT32_MAX, &number) == 0;

		if (assay_bytes_is(key, "sdev") && is_number)
			m.dev = makedev((unsigned)(number >> MINOR_BITS),
					(unsigned)number & ((1u << MINOR_BITS) - 1));
		else if (assay_bytes_is(key, "ignored_mask") && is_number)
			m.ignored = (uint32_t)number;
		else if (assay_bytes_is(key, "fhandle-bytes") && is_number)
			bytes = number;
		else if (assay_bytes_is(key, "fhandle-type") && is_number && (has_type = true))
			m.handle_type = (int32_t)number;
		else if (assay_bytes_is(key, "f_handle") &&
			 (n = assay_hex_decode(value, m.handle, sizeof(m.handle))) > 0)
			m.handle_len = (uint32_t)n;
	}
	if (!has_type || bytes != m.handle_len)
		m.handle_len = 0;
	*ret = m;
	return true;
}
