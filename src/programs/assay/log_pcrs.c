/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PCR values as people and tools write them. */
#include <errno.h>
#include <fcntl.h>

#include "base/hex.h"
#include "base/num.h"
#include "programs/assay/log.h"

#define PCR_FILE_MAX (1u << 20)

/* tpm2-tools write sha3_256 where the kernel writes sha3-256. */
static bool parse_bank(struct assay_bytes word, enum assay_hash *ret)
{
	char name[32];

	if (word.len >= sizeof(name))
		return false;
	for (size_t i = 0; i < word.len; i++)
		name[i] = word.data[i] == '_' ? '-' : (char)word.data[i];
	return assay_hash_by_name(assay_bytes(name, word.len), ret) && assay_hash_tpm_id(*ret);
}

/* The same value may be given again: by a file, and by the TPM. */
int log_claims_add_value(struct log_claims *c, bool named, const struct assay_pcr_claim *claim,
			 struct assay_err *err)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->claim[i].alg != claim->alg || c->claim[i].pcr != claim->pcr)
			continue;
		if (memcmp(c->claim[i].value, claim->value, assay_hash_size(claim->alg)) != 0)
			return assay_err_set(err, -EBADMSG, "two values for PCR %u of bank %s",
					     claim->pcr, assay_hash_name(claim->alg));
		c->named[i] |= named;
		return 0;
	}
	if (c->n == ASSAY_CLAIMS_MAX)
		return assay_err_set(err, -E2BIG, "more than %u PCR values", ASSAY_CLAIMS_MAX);
	c->named[c->n] = named;
	c->claim[c->n++] = *claim;
	return 0;
}

static int add(struct log_claims *c, bool named, enum assay_hash alg, struct assay_bytes index,
	       struct assay_bytes hex, struct assay_err *err)
{
	struct assay_pcr_claim claim = { .alg = alg };
	uint64_t pcr;

	if (assay_num_parse(index, 10, ASSAY_RECORD_PCR_MAX, &pcr) < 0)
		return assay_err_set(err, -EBADMSG, "'%s' is no PCR index (0 to %u)",
				     assay_err_quote(index).text, ASSAY_RECORD_PCR_MAX);
	claim.pcr = (uint32_t)pcr;
	if (hex.len > 2 && hex.data[0] == '0' && (hex.data[1] | 0x20) == 'x')
		hex = assay_bytes(hex.data + 2, hex.len - 2);
	if (assay_hex_decode(hex, claim.value, sizeof(claim.value)) != (long)assay_hash_size(alg))
		return assay_err_set(err, -EBADMSG, "a %s PCR has %zu hexadecimal digits, not '%s'",
				     assay_hash_name(alg), 2 * assay_hash_size(alg),
				     assay_err_quote(hex).text);
	return log_claims_add_value(c, named, &claim, err);
}

int log_claims_add(struct log_claims *c, const char *text, struct assay_err *err)
{
	const char *first = strchr(text, ':'), *second = first ? strchr(first + 1, ':') : NULL;
	enum assay_hash alg;

	if (!second)
		return assay_err_set(err, -EBADMSG, "'%s' is not BANK:INDEX:HEX", text);
	if (!parse_bank(assay_bytes(text, (size_t)(first - text)), &alg))
		return assay_err_set(
			err, -EOPNOTSUPP, "'%s' is no PCR bank",
			assay_err_quote(assay_bytes(text, (size_t)(first - text))).text);
	return add(c, true, alg, assay_bytes(first + 1, (size_t)(second - first - 1)),
		   assay_bytes_str(second + 1), err);
}

/* ---- files ---------------------------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next word, which blanks or a ':' end; *ret_colon: it was a ':'. */
static bool next_word(struct assay_bytes *line, struct assay_bytes *ret, bool *ret_colon)
{
	size_t i = 0, start;

	while (i < line->len && is_blank(line->data[i]))
		i++;
	start = i;
	while (i < line->len && !is_blank(line->data[i]) && line->data[i] != ':')
		i++;
	*ret = assay_bytes(line->data + start, i - start);
	while (i < line->len && is_blank(line->data[i]))
		i++;
	*ret_colon = i < line->len && line->data[i] == ':';
	i += *ret_colon;
	*line = assay_bytes(line->data + i, line->len - i);
	return ret->len > 0;
}

/* "BANK INDEX HEX", or "BANK:" for the lines "INDEX : 0xHEX" after it. */
static int take_line(struct log_claims *c, struct assay_bytes line, enum assay_hash *bank,
		     bool *has_bank, struct assay_err *err)
{
	struct assay_bytes word[3] = { { 0 } };
	bool colon[3] = { false };
	unsigned n = 0;

	while (n < 3 && next_word(&line, &word[n], &colon[n]))
		n++;
	if (n == 0 || word[0].data[0] == '#')
		return 0;
	if (n == 2 && colon[0] && *has_bank)
		return add(c, false, *bank, word[0], word[1], err);
	if (!(n == 3 && !colon[0] && !colon[1]) && !(n == 1 && colon[0]))
		return assay_err_set(err, -EBADMSG, "neither BANK INDEX HEX nor tpm2_pcrread's");
	if (!parse_bank(word[0], bank))
		return assay_err_set(err, -EOPNOTSUPP, "'%s' is no PCR bank",
				     assay_err_quote(word[0]).text);
	*has_bank = n == 1;
	return n == 3 ? add(c, false, *bank, word[1], word[2], err) : 0;
}

int log_claims_parse(struct log_claims *c, struct assay_bytes text, struct assay_err *err)
{
	enum assay_hash bank = ASSAY_HASH_SHA1;
	bool has_bank = false;

	for (uint32_t number = 1; text.len; number++) {
		const uint8_t *nl = memchr(text.data, '\n', text.len);
		size_t len = nl ? (size_t)(nl - text.data) : text.len;
		struct assay_err why;
		int r = take_line(c, assay_bytes(text.data, len), &bank, &has_bank, &why);

		if (r < 0)
			return assay_err_at_line(err, r, number, 1, "%s", why.text);
		len += nl != NULL;
		text = assay_bytes(text.data + len, text.len - len);
	}
	return 0;
}

int log_claims_read(struct log_claims *c, const char *path, struct assay_err *err)
{
	AUTO(file) struct assay_file f = { 0 };
	size_t before = c->n;
	int r = assay_file_read(AT_FDCWD, path, PCR_FILE_MAX, &f, err);

	if (r == 0)
		r = log_claims_parse(c, f.bytes, err);
	if (r == 0 && c->n == before)
		return assay_err_set(err, -EBADMSG, "no PCR values in it");
	return r;
}
