/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The measurement lists of real kernels under tests/vectors/kernel (its README says whence). */
#pragma once

#include <fcntl.h>

#include "base/file.h"
#include "base/macros.h"
#include "formats/hash.h"

struct kernel_list {
	const char *run, *file;
	enum assay_hash column;
};

#define OLD_RUN(run)                                                                               \
	{                                                                                          \
		run, "binary_runtime_measurements", ASSAY_HASH_SHA1                                \
	}
#define NEW_RUN(run)                                                                               \
	{ run, "binary_runtime_measurements", ASSAY_HASH_SHA1 },                                   \
		{ run, "binary_runtime_measurements_sha256", ASSAY_HASH_SHA256 },                  \
		{ run, "binary_runtime_measurements_sha384", ASSAY_HASH_SHA384 },                  \
	{                                                                                          \
		run, "binary_runtime_measurements_sha512", ASSAY_HASH_SHA512                       \
	}

static const struct kernel_list kernel_lists[] = {
	OLD_RUN("6.1.0/plain-no-boot-policy"),
	NEW_RUN("6.12.95/rich-sha256-ima-sig"),
	OLD_RUN("6.1.0/rich-sha256-ima-sig"),
	NEW_RUN("6.12.95/sha512-ima-ng"),
	OLD_RUN("6.1.0/sha1-ima"),
	NEW_RUN("7.2.13/rich-sha256-ima-sig"),
	OLD_RUN("6.1.0/sha1-ima-ng"),
	NEW_RUN("7.2.13/sha384-evm-sig"),
};

/* A file of a run; the test ends if it cannot be read. Free with assay_file_free(). */
static inline void kernel_file_read(const char *run, const char *file, struct assay_file *ret)
{
	char path[512];
	struct assay_err err;

	snprintf(path, sizeof(path), "%s/kernel/%s/%s", VECTORS, run, file);
	if (assay_file_read(AT_FDCWD, path, 64 << 20, ret, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void kernel_list_read(const struct kernel_list *list, struct assay_file *ret)
{
	kernel_file_read(list->run, list->file, ret);
}
