/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/err.h"

#include <stdarg.h>
#include <string.h>

#include "base/fmt.h"

static int fill(struct assay_err *err, int code, const char *fmt, va_list ap)
{
	if (!err)
		return code;
	*err = (struct assay_err){ .code = code };
	assay_fmt_v(err->text, sizeof(err->text), fmt, ap);
	return code;
}

int assay_err_set(struct assay_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int assay_err_at(struct assay_err *err, int code, uint64_t offset, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	if (err) {
		err->has_offset = true;
		err->offset = offset;
	}
	return code;
}

int assay_err_at_line(struct assay_err *err, int code, uint32_t line, uint32_t column,
		      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	if (err) {
		err->line = line;
		err->column = column;
	}
	return code;
}

struct assay_err_quote assay_err_quote(struct assay_bytes input)
{
	struct assay_err_quote q = { "" };
	size_t room = sizeof(q.text) - sizeof("...");
	size_t at = 0;

	for (size_t i = 0; i < input.len; i++) {
		bool plain = input.data[i] >= 0x20 && input.data[i] < 0x7f;

		if (at + (plain ? 1 : 4) > room) {
			assay_fmt(q.text + at, sizeof(q.text) - at, "...");
			break;
		}
		at += assay_fmt(q.text + at, sizeof(q.text) - at, plain ? "%c" : "\\x%02x",
				input.data[i]);
	}
	return q;
}

int assay_err_prefix(struct assay_err *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list ap;
	size_t n;

	if (!err)
		return 0;
	va_start(ap, fmt);
	n = assay_fmt_v(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < sizeof(text))
		assay_fmt(text + n, sizeof(text) - n, ": %s", err->text);
	memcpy(err->text, text, sizeof(text));
	return err->code;
}
