/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/fmt.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct out {
	char *buf;
	size_t size, len;
};

struct spec {
	size_t width, precision;
	char pad, length; /* length: 0, 'l', 'L' for ll, 'z' */
	bool has_precision;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_number(struct out *o, const struct spec *s, uint64_t value, unsigned base, bool neg)
{
	char digits[24];
	size_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (neg && s->pad == '0')
		put(o, '-');
	for (size_t i = n + neg; i < s->width; i++)
		put(o, s->pad);
	if (neg && s->pad != '0')
		put(o, '-');
	while (n)
		put(o, digits[--n]);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
	size_t n = 0;

	if (!text)
		text = "(null)";
	while ((!s->has_precision || n < s->precision) && text[n])
		n++;
	for (size_t i = n; i < s->width; i++)
		put(o, ' ');
	for (size_t i = 0; i < n; i++)
		put(o, text[i]);
}

static const char *parse_number(const char *f, size_t *ret)
{
	for (*ret = 0; *f >= '0' && *f <= '9'; f++)
		*ret = *ret * 10 + (size_t)(*f - '0');
	return f;
}

/* The length modifier decides which type the caller passed. */
#define NEXT_ARG(ap, length, type_int, type_long, type_llong, type_size)                           \
	((length) == 'L'   ? (type_llong)va_arg(*(ap), type_llong)                                 \
	 : (length) == 'l' ? (type_llong)va_arg(*(ap), type_long)                                  \
	 : (length) == 'z' ? (type_llong)va_arg(*(ap), type_size)                                  \
			   : (type_llong)va_arg(*(ap), type_int))

static void put_conversion(struct out *o, const struct spec *s, char c, va_list *ap)
{
	long long i;

	switch (c) {
	case 's':
		put_string(o, s, va_arg(*ap, const char *));
		break;
	case 'c':
		put(o, (char)va_arg(*ap, int));
		break;
	case 'd':
	case 'i':
		i = NEXT_ARG(ap, s->length, int, long, long long, ptrdiff_t);
		put_number(o, s, i < 0 ? 0 - (uint64_t)i : (uint64_t)i, 10, i < 0);
		break;
	case 'u':
	case 'x':
		put_number(o, s,
			   NEXT_ARG(ap, s->length, unsigned, unsigned long, unsigned long long,
				    size_t),
			   c == 'x' ? 16 : 10, false);
		break;
	default:
		put(o, '%');
		if (c != '%')
			put(o, c);
	}
}

static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){ .pad = ' ' };
	if (*f == '0') {
		s->pad = '0';
		f++;
	}
	f = parse_number(f, &s->width);
	if (*f == '.') {
		s->has_precision = true;
		if (f[1] == '*') {
			int given = va_arg(*ap, int);

			s->precision = given < 0 ? 0 : (size_t)given;
			f += 2;
		} else {
			f = parse_number(f + 1, &s->precision);
		}
	}
	if (*f == 'z' || *f == 'l')
		s->length = *f++;
	if (*f == 'l' && s->length == 'l') {
		s->length = 'L';
		f++;
	}
	return f;
}

size_t assay_fmt_v(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { buf, size, 0 };
	struct spec s;
	va_list args;

	va_copy(args, ap);
	for (const char *f = fmt; *f; f++) {
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse_spec(f + 1, &s, &args);
		if (!*f)
			break;
		put_conversion(&o, &s, *f, &args);
	}
	va_end(args);
	if (size)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return o.len;
}

size_t assay_fmt(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = assay_fmt_v(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
