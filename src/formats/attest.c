/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See docs/formats/quote.md, sections 2 and 3. */
#include "formats/attest.h"

#include <errno.h>

#include "base/num.h"
#include "formats/der.h"

#define ALG_RSASSA   0x0014u
#define ALG_ECDSA    0x0018u
#define SELECT_MAX   4 /* bytes of a bitmap: TPM2_PCR_SELECT_MAX */
#define SELECT_BYTES 3 /* what we write: 24 PCRs */

/* ---- selections ----------------------------------------------------------------------------- */

static bool has_bank(const struct assay_selection *s, enum assay_hash alg)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->bank[i].alg == alg)
			return true;
	return false;
}

/* Up to @stop or the end; moves *@text behind it. */
static struct assay_bytes cut(struct assay_bytes *text, char stop)
{
	const uint8_t *at = text->len ? memchr(text->data, stop, text->len) : NULL;
	struct assay_bytes word =
		assay_bytes(text->data, at ? (size_t)(at - text->data) : text->len);
	size_t used = word.len + (at ? 1 : 0);

	*text = assay_bytes(text->data + used, text->len - used);
	return word;
}

static int parse_pcrs(struct assay_bytes list, uint32_t *ret, struct assay_err *err)
{
	uint32_t mask = 0;
	bool more = true;

	if (assay_bytes_is(list, "all")) {
		*ret = (1u << ASSAY_PCRS) - 1;
		return 0;
	}
	while (more) {
		size_t before = list.len;
		struct assay_bytes word = cut(&list, ',');
		uint64_t pcr;

		more = before > word.len;
		if (assay_num_parse(word, 10, ASSAY_PCRS - 1, &pcr) < 0 || (mask & 1u << pcr))
			return assay_err_set(
				err, -EBADMSG,
				"'%s' is not a PCR from 0 to %d, or stands there twice",
				assay_err_quote(word).text, ASSAY_PCRS - 1);
		mask |= 1u << pcr;
	}
	*ret = mask;
	return 0;
}

static int parse_bank(struct assay_bytes word, struct assay_selection *s, struct assay_err *err)
{
	struct assay_bytes name = cut(&word, ':');
	enum assay_hash alg;
	int r;

	if (!assay_hash_by_name(name, &alg) || !assay_hash_tpm_id(alg))
		return assay_err_set(err, -EOPNOTSUPP, "'%s' is not a PCR bank (sha1, sha256...)",
				     assay_err_quote(name).text);
	if (s->n == ASSAY_SELECTION_MAX || has_bank(s, alg))
		return assay_err_set(err, -EBADMSG, "bank '%s' stands there twice",
				     assay_hash_name(alg));
	r = parse_pcrs(word, &s->bank[s->n].mask, err);
	if (r == 0)
		s->bank[s->n++].alg = alg;
	return r;
}

int assay_selection_parse_text(struct assay_bytes text, struct assay_selection *ret,
			       struct assay_err *err)
{
	struct assay_selection s = { 0 };
	bool more = true;
	int r = 0;

	if (text.len > ASSAY_SELECTION_TEXT_MAX)
		return assay_err_set(err, -E2BIG, "a selection of PCRs of more than %d bytes",
				     ASSAY_SELECTION_TEXT_MAX);
	while (more && r == 0) {
		size_t before = text.len;
		struct assay_bytes word = cut(&text, '+');

		more = before > word.len;
		r = parse_bank(word, &s, err);
	}
	if (r == 0)
		*ret = s;
	return r;
}

void assay_selection_print(const struct assay_selection *s, struct assay_wr *w)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const char *before = ":";

		assay_wr_fmt(w, "%s%s", i ? "+" : "", assay_hash_name(s->bank[i].alg));
		for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
			if (!(s->bank[i].mask & 1u << p))
				continue;
			assay_wr_fmt(w, "%s%u", before, p);
			before = ",";
		}
	}
}

uint32_t assay_selection_count(const struct assay_selection *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		n += (uint32_t)__builtin_popcount(s->bank[i].mask);
	return n;
}

static int parse_select(struct assay_rd *in, struct assay_selection *s, struct assay_err *err)
{
	uint16_t id;
	uint8_t size, byte;
	uint32_t mask = 0;

	if (!assay_rd_u16(in, &id) || !assay_rd_u8(in, &size) || size > SELECT_MAX)
		return assay_err_set(err, -EBADMSG, "a malformed selection of PCRs");
	for (unsigned i = 0; i < size; i++) {
		if (!assay_rd_u8(in, &byte))
			return assay_err_set(err, -EBADMSG, "a malformed selection of PCRs");
		mask |= (uint32_t)byte << 8 * i;
	}
	if (mask >> ASSAY_PCRS)
		return assay_err_set(err, -EOPNOTSUPP, "a PCR above %d is selected",
				     ASSAY_PCRS - 1);
	if (!assay_hash_by_tpm_id(id, &s->bank[s->n].alg))
		return assay_err_set(err, -EOPNOTSUPP, "unknown PCR bank 0x%04x", id);
	s->bank[s->n++].mask = mask;
	return 0;
}

static int parse_selection(struct assay_rd *in, struct assay_selection *ret, struct assay_err *err)
{
	struct assay_selection s = { 0 };
	uint32_t count;
	int r = 0;

	if (!assay_rd_u32(in, &count) || count > ASSAY_SELECTION_MAX)
		return assay_err_set(err, -EBADMSG, "a malformed selection of PCRs");
	for (uint32_t i = 0; i < count && r == 0; i++)
		r = parse_select(in, &s, err);
	if (r == 0)
		*ret = s;
	return r;
}

static void encode_selection(const struct assay_selection *s, struct assay_wr *w)
{
	assay_wr_u32(w, s->n);
	for (uint32_t i = 0; i < s->n; i++) {
		assay_wr_u16(w, assay_hash_tpm_id(s->bank[i].alg));
		assay_wr_u8(w, SELECT_BYTES);
		for (unsigned k = 0; k < SELECT_BYTES; k++)
			assay_wr_u8(w, (uint8_t)(s->bank[i].mask >> 8 * k));
	}
}

/* ---- TPMS_ATTEST ---------------------------------------------------------------------------- */

static bool read_clock(struct assay_rd *in, struct assay_tpm_clock *ret)
{
	uint8_t safe;

	if (!assay_rd_u64(in, &ret->clock) || !assay_rd_u32(in, &ret->reset_count) ||
	    !assay_rd_u32(in, &ret->restart_count) || !assay_rd_u8(in, &safe) || safe > 1)
		return false;
	ret->safe = safe;
	return true;
}

static int parse_head(struct assay_rd *in, struct assay_attest *a, struct assay_err *err)
{
	uint32_t magic;
	uint16_t type;

	if (!assay_rd_u32(in, &magic) || !assay_rd_u16(in, &type))
		return assay_err_set(err, -EBADMSG, "the attestation is cut short");
	if (magic != ASSAY_ATTEST_MAGIC_TPM && magic != ASSAY_ATTEST_MAGIC_SOFT)
		return assay_err_set(err, -EBADMSG, "magic 0x%08x: no TPM made this attestation",
				     magic);
	if (type != ASSAY_ATTEST_QUOTE)
		return assay_err_set(err, -EOPNOTSUPP, "an attestation of type 0x%04x, not a quote",
				     type);
	a->soft = magic == ASSAY_ATTEST_MAGIC_SOFT;
	return 0;
}

int assay_attest_parse(struct assay_bytes in, struct assay_attest *ret, struct assay_err *err)
{
	struct assay_attest a = { 0 };
	struct assay_rd rd = assay_rd(in);
	int r;

	rd.big = true;
	r = parse_head(&rd, &a, err);
	if (r < 0)
		return r;
	if (!assay_rd_field16(&rd, ASSAY_TPM_NAME_MAX, &a.signer) ||
	    !assay_rd_field16(&rd, ASSAY_NONCE_MAX + 2, &a.nonce) || !read_clock(&rd, &a.clock) ||
	    !assay_rd_u64(&rd, &a.firmware))
		return assay_err_at(err, -EBADMSG, assay_rd_offset(&rd), "a malformed quote");
	r = parse_selection(&rd, &a.selection, err);
	if (r < 0)
		return r;
	if (!assay_rd_field16(&rd, ASSAY_HASH_SIZE_MAX, &a.pcr_digest) || !assay_rd_end(&rd))
		return assay_err_at(err, -EBADMSG, assay_rd_offset(&rd), "a malformed quote");
	*ret = a;
	return 0;
}

void assay_attest_encode(const struct assay_attest *a, struct assay_wr *w)
{
	w->big = true;
	assay_wr_u32(w, a->soft ? ASSAY_ATTEST_MAGIC_SOFT : ASSAY_ATTEST_MAGIC_TPM);
	assay_wr_u16(w, ASSAY_ATTEST_QUOTE);
	assay_wr_field16(w, a->signer);
	assay_wr_field16(w, a->nonce);
	assay_wr_u64(w, a->clock.clock);
	assay_wr_u32(w, a->clock.reset_count);
	assay_wr_u32(w, a->clock.restart_count);
	assay_wr_u8(w, a->clock.safe);
	assay_wr_u64(w, a->firmware);
	encode_selection(&a->selection, w);
	assay_wr_field16(w, a->pcr_digest);
}

/* ---- TPMT_SIGNATURE ------------------------------------------------------------------------- */

int assay_tpm_signature_parse(struct assay_bytes in, struct assay_tpm_signature *ret,
			      struct assay_err *err)
{
	struct assay_tpm_signature s = { 0 };
	struct assay_rd rd = assay_rd(in);
	uint16_t alg, hash;
	bool ok;

	rd.big = true;
	if (!assay_rd_u16(&rd, &alg) || !assay_rd_u16(&rd, &hash))
		return assay_err_set(err, -EBADMSG, "the signature is cut short");
	if (alg != ALG_RSASSA && alg != ALG_ECDSA)
		return assay_err_set(err, -EOPNOTSUPP,
				     "a signature of scheme 0x%04x, neither "
				     "RSASSA nor ECDSA",
				     alg);
	if (!assay_hash_by_tpm_id(hash, &s.hash))
		return assay_err_set(err, -EOPNOTSUPP, "a signature over unknown hash 0x%04x",
				     hash);
	s.kind = alg == ALG_RSASSA ? ASSAY_TPM_SIG_RSASSA : ASSAY_TPM_SIG_ECDSA;
	if (s.kind == ASSAY_TPM_SIG_RSASSA)
		ok = assay_rd_field16(&rd, ASSAY_TPM_RSA_MAX, &s.rsa);
	else
		ok = assay_rd_field16(&rd, ASSAY_TPM_ECC_MAX, &s.r) &&
		     assay_rd_field16(&rd, ASSAY_TPM_ECC_MAX, &s.s);
	if (!ok || !assay_rd_end(&rd))
		return assay_err_set(err, -EBADMSG, "a malformed signature");
	*ret = s;
	return 0;
}

void assay_tpm_signature_encode(const struct assay_tpm_signature *s, struct assay_wr *w)
{
	w->big = true;
	assay_wr_u16(w, s->kind == ASSAY_TPM_SIG_RSASSA ? ALG_RSASSA : ALG_ECDSA);
	assay_wr_u16(w, assay_hash_tpm_id(s->hash));
	if (s->kind == ASSAY_TPM_SIG_RSASSA) {
		assay_wr_field16(w, s->rsa);
		return;
	}
	assay_wr_field16(w, s->r);
	assay_wr_field16(w, s->s);
}

void assay_tpm_signature_der(const struct assay_tpm_signature *s, struct assay_wr *w)
{
	uint8_t inner[2 * (ASSAY_TPM_ECC_MAX + 3)];
	struct assay_wr body = assay_wr(inner, sizeof(inner));

	assay_der_integer(&body, s->r);
	assay_der_integer(&body, s->s);
	assay_der_wrap(w, ASSAY_DER_SEQUENCE, assay_wr_done(&body));
	w->full = w->full || body.full;
}
