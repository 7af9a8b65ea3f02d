/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links only where clang has its fuzzing library: meson.build asks with it. */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return data && size ? 0 : 0;
}
