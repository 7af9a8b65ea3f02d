/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a mark's line says fits the mark, and is read the same from a line made of it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "backends/source_fanotify/mark_list.h"
#include "base/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char hex[2 * ASSAY_MARK_HANDLE_MAX + 1], line[512];
	struct assay_inode_mark first, second;

	if (!assay_mark_parse(assay_bytes(data, size), &first))
		return 0;
	if (first.handle_len > sizeof(first.handle))
		abort();
	assay_hex_encode(assay_bytes(first.handle, first.handle_len), hex);
	snprintf(line, sizeof(line),
		 "fanotify ino:1 sdev:%x ignored_mask:%x fhandle-bytes:%x fhandle-type:%x "
		 "f_handle:%s",
		 major(first.dev) << 20 | minor(first.dev), first.ignored, first.handle_len,
		 (unsigned)first.handle_type, hex);
	if (!assay_mark_parse(assay_bytes_str(line), &second) || second.dev != first.dev ||
	    second.ignored != first.ignored || second.handle_len != first.handle_len ||
	    memcmp(second.handle, first.handle, first.handle_len) != 0)
		abort();
	return 0;
}
