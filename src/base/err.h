/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What went wrong, for a person: filled only on failure, never printed here.
 * Codes are negative errno values with one meaning each:
 *   -EBADMSG malformed, -E2BIG over a limit, -EOPNOTSUPP unknown version or algorithm,
 *   -EKEYREJECTED signature false, -ENOKEY no such key, -ESTALE rollback, -EINVAL caller's mistake,
 *   -ENOMEM out of memory; others as the operating system gave them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/macros.h"

struct assay_err {
	int code;	 /* negative errno */
	uint32_t line;	 /* 1-based, 0 = does not apply */
	uint32_t column; /* 1-based, in bytes, 0 = does not apply */
	bool has_offset; /* offset is meaningful */
	uint64_t offset; /* bytes from the start of the input */
	char text[512];	 /* lower case, no full stop */
};

/* Fills @err (which may be NULL) and returns @code, so that one can write
 * "return assay_err_set(err, -EBADMSG, ...)". Clears line, column and offset. */
int assay_err_set(struct assay_err *err, int code, const char *fmt, ...) ASSAY_PRINTF(3, 4);

/* The same, with the place in the input. */
int assay_err_at(struct assay_err *err, int code, uint64_t offset, const char *fmt, ...)
	ASSAY_PRINTF(4, 5);
int assay_err_at_line(struct assay_err *err, int code, uint32_t line, uint32_t column,
		      const char *fmt, ...) ASSAY_PRINTF(5, 6);

/* A piece of somebody's input as it may stand in a message: at most 40 bytes of it, and of those
 * only printable ones as they are, others as \xHH. No message steers a terminal. */
struct assay_err_quote {
	char text[44];
};
struct assay_err_quote assay_err_quote(struct assay_bytes input);

/* Puts "TEXT: " in front of a message that is there already. Returns err->code, 0 if NULL. */
int assay_err_prefix(struct assay_err *err, const char *fmt, ...) ASSAY_PRINTF(2, 3);
