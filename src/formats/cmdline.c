/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/cmdline.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cuts the next word off @rest, quotes and all; false if there is none. */
static bool next_word(struct assay_bytes *rest, struct assay_bytes *ret)
{
	bool quoted = false;
	size_t begin = 0, end;

	while (begin < rest->len && is_blank(rest->data[begin]))
		begin++;
	for (end = begin; end < rest->len; end++) {
		if (is_blank(rest->data[end]) && !quoted)
			break;
		quoted ^= rest->data[end] == '"';
	}
	*ret = assay_bytes(rest->data + begin, end - begin);
	*rest = assay_bytes(rest->data + end, rest->len - end);
	return ret->len > 0;
}

/* A quote at the front goes, and one at the back with it. */
static struct assay_bytes unquote(struct assay_bytes b)
{
	if (b.len == 0 || b.data[0] != '"')
		return b;
	b = assay_bytes(b.data + 1, b.len - 1);
	if (b.len > 0 && b.data[b.len - 1] == '"')
		b.len--;
	return b;
}

/* @word is "@name=VALUE". */
static bool value_of(struct assay_bytes word, const char *name, struct assay_bytes *ret)
{
	size_t len = strlen(name);

	word = unquote(word);
	if (word.len <= len || memcmp(word.data, name, len) != 0 || word.data[len] != '=')
		return false;
	*ret = unquote(assay_bytes(word.data + len + 1, word.len - len - 1));
	return true;
}

bool assay_cmdline_get(struct assay_bytes line, const char *name, struct assay_bytes *ret)
{
	struct assay_bytes word;
	bool found = false;

	if (line.len > ASSAY_CMDLINE_SIZE_MAX)
		return false;
	while (next_word(&line, &word) && !assay_bytes_is(word, "--"))
		found |= value_of(word, name, ret);
	return found;
}
