/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy text to tokens with line and column: a rule a line, tokens between blanks and tabs,
 * comments from a token that begins with '#'. There is no quoting and no continuation.
 */
#include <string.h>

#include "formats/policy_parser.h"

void assay_policy_lex_init(struct assay_policy_lex *lex, struct assay_bytes text)
{
	*lex = (struct assay_policy_lex){ .text = assay_rd(text) };
	lex->rest = assay_rd(assay_bytes(text.data, 0));
}

/* Bytes before the first @stop, or all that is left. */
static size_t span_until(const struct assay_rd *r, const char *stop)
{
	size_t n = 0;

	while (n < assay_rd_left(r) && !(r->at[n] && strchr(stop, r->at[n])))
		n++;
	return n;
}

/* True if something that is no comment is left. */
static bool skip_blanks(struct assay_rd *r)
{
	struct assay_bytes blanks;
	size_t n = 0;

	while (n < assay_rd_left(r) && (r->at[n] == ' ' || r->at[n] == '\t'))
		n++;
	return assay_rd_bytes(r, n, &blanks) && !assay_rd_end(r) && *r->at != '#';
}

bool assay_policy_lex_line(struct assay_policy_lex *lex)
{
	struct assay_bytes newline;

	while (!assay_rd_end(&lex->text)) {
		const uint8_t *nl = memchr(lex->text.at, '\n', assay_rd_left(&lex->text));
		size_t len = nl ? (size_t)(nl - lex->text.at) : assay_rd_left(&lex->text);

		if (!assay_rd_take(&lex->text, len, &lex->rest))
			return false;
		if (nl && !assay_rd_bytes(&lex->text, 1, &newline))
			return false;
		lex->line++;
		lex->line_start = lex->rest.at;
		if (skip_blanks(&lex->rest))
			return true;
	}
	return false;
}

bool assay_policy_lex_token(struct assay_policy_lex *lex, struct assay_policy_token *ret)
{
	struct assay_policy_token t = { 0 };
	struct assay_rd in;
	size_t len;

	if (!skip_blanks(&lex->rest))
		return false;
	t.column = (uint32_t)(lex->rest.at - lex->line_start) + 1;
	if (!assay_rd_bytes(&lex->rest, span_until(&lex->rest, " \t"), &t.whole))
		return false;
	in = assay_rd(t.whole);
	len = span_until(&in, "=<>");
	t.word = assay_bytes(t.whole.data, len);
	t.value = assay_bytes(t.whole.data + len, 0);
	t.value_column = t.column + (uint32_t)len;
	if (len < t.whole.len) {
		t.op = (char)t.whole.data[len];
		t.value = assay_bytes(t.whole.data + len + 1, t.whole.len - len - 1);
		t.value_column++;
	}
	*ret = t;
	return true;
}
