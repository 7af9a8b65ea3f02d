/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/quote.h"

#include <errno.h>

#include "base/rd.h"

#define VERSION	   1u
#define SIGNED_MAX 1024u /* bytes of the attestation, and of its signature */
static const char magic[8] = { 'A', 'S', 'Y', 'Q', 'U', 'O', 'T', 'E' };

/* Room that the C structures of tpm2-tss have, used or not. */
#define TOOLS_BANKS	16u
#define TOOLS_SELECT	4u
#define TOOLS_DIGESTS	8u
#define TOOLS_DIGEST	64u
#define TOOLS_LISTS_MAX 64u

static bool has_value(const struct assay_quote_pcrs *pcrs, enum assay_hash bank, uint32_t pcr)
{
	for (uint32_t i = 0; i < pcrs->n; i++)
		if (pcrs->v[i].bank == bank && pcrs->v[i].pcr == pcr)
			return true;
	return false;
}

/* ---- ours ----------------------------------------------------------------------------------- */

static bool is_ours(struct assay_bytes file)
{
	return file.len >= sizeof(magic) && memcmp(file.data, magic, sizeof(magic)) == 0;
}

static int parse_value(struct assay_rd *in, struct assay_quote_pcrs *pcrs, struct assay_err *err)
{
	struct assay_quote_pcr *v = &pcrs->v[pcrs->n];
	uint16_t id;
	uint8_t pcr;

	if (!assay_rd_u16(in, &id) || !assay_rd_u8(in, &pcr) || pcr >= ASSAY_PCRS)
		return assay_err_at(err, -EBADMSG, assay_rd_offset(in), "a malformed PCR value");
	if (!assay_hash_by_tpm_id(id, &v->bank))
		return assay_err_set(err, -EOPNOTSUPP, "unknown PCR bank 0x%04x", id);
	if (has_value(pcrs, v->bank, pcr))
		return assay_err_set(err, -EBADMSG, "PCR %u of bank '%s' stands there twice", pcr,
				     assay_hash_name(v->bank));
	v->pcr = pcr;
	if (!assay_rd_copy(in, v->value, assay_hash_size(v->bank)))
		return assay_err_at(err, -EBADMSG, assay_rd_offset(in), "a PCR value is cut short");
	pcrs->n++;
	return 0;
}

int assay_quote_parse(struct assay_bytes file, struct assay_quote *ret, struct assay_err *err)
{
	struct assay_rd in = assay_rd(file);
	struct assay_quote q = { 0 };
	struct assay_bytes head;
	uint16_t version, count;
	int r = 0;

	in.big = true;
	if (file.len > ASSAY_QUOTE_SIZE_MAX)
		return assay_err_set(err, -E2BIG, "a quote of more than %d bytes",
				     ASSAY_QUOTE_SIZE_MAX);
	if (!is_ours(file) || !assay_rd_bytes(&in, sizeof(magic), &head) ||
	    !assay_rd_u16(&in, &version))
		return assay_err_set(err, -EBADMSG, "not a quote file of assay");
	if (version != VERSION)
		return assay_err_set(err, -EOPNOTSUPP, "a quote file of version %u", version);
	if (!assay_rd_field16(&in, SIGNED_MAX, &q.attest) ||
	    !assay_rd_field16(&in, SIGNED_MAX, &q.signature) || !assay_rd_u16(&in, &count) ||
	    count > ASSAY_QUOTE_PCRS_MAX)
		return assay_err_at(err, -EBADMSG, assay_rd_offset(&in), "a malformed quote file");
	for (uint32_t i = 0; i < count && r == 0; i++)
		r = parse_value(&in, &q.pcrs, err);
	if (r == 0 && !assay_rd_end(&in))
		r = assay_err_at(err, -EBADMSG, assay_rd_offset(&in),
				 "bytes after the end of the quote");
	if (r == 0)
		*ret = q;
	return r;
}

void assay_quote_encode(const struct assay_quote *q, struct assay_wr *w)
{
	w->big = true;
	assay_wr_raw(w, magic, sizeof(magic));
	assay_wr_u16(w, VERSION);
	assay_wr_field16(w, q->attest);
	assay_wr_field16(w, q->signature);
	assay_wr_u16(w, (uint16_t)q->pcrs.n);
	for (uint32_t i = 0; i < q->pcrs.n; i++) {
		const struct assay_quote_pcr *v = &q->pcrs.v[i];

		assay_wr_u16(w, assay_hash_tpm_id(v->bank));
		assay_wr_u8(w, (uint8_t)v->pcr);
		assay_wr_raw(w, v->value, assay_hash_size(v->bank));
	}
}

/* ---- tpm2-tools ----------------------------------------------------------------------------- */

/* Labels for the values to come, in the order of @s. */
static int label(const struct assay_selection *s, struct assay_quote_pcrs *ret,
		 struct assay_err *err)
{
	ret->n = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
			if (!(s->bank[i].mask & 1u << p))
				continue;
			if (has_value(ret, s->bank[i].alg, p))
				return assay_err_set(err, -EBADMSG,
						     "PCR %u of bank '%s' is "
						     "selected twice",
						     p, assay_hash_name(s->bank[i].alg));
			ret->v[ret->n].bank = s->bank[i].alg;
			ret->v[ret->n++].pcr = p;
		}
	}
	return 0;
}

static int parse_bare(struct assay_bytes file, const struct assay_selection *selection,
		      struct assay_quote_pcrs *ret, struct assay_err *err)
{
	struct assay_rd in = assay_rd(file);
	int r = label(selection, ret, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < ret->n; i++)
		if (!assay_rd_copy(&in, ret->v[i].value, assay_hash_size(ret->v[i].bank)))
			return assay_err_set(err, -EBADMSG, "fewer PCR values than were quoted");
	if (!assay_rd_end(&in))
		return assay_err_set(err, -EBADMSG, "more PCR values than were quoted");
	return 0;
}

/* TPML_PCR_SELECTION as a C structure. */
static int read_c_selection(struct assay_rd *in, struct assay_selection *ret, struct assay_err *err)
{
	uint32_t count;

	ret->n = 0;
	if (!assay_rd_u32(in, &count) || count > TOOLS_BANKS)
		return assay_err_set(err, -EBADMSG, "a malformed PCR file");
	for (uint32_t i = 0; i < TOOLS_BANKS; i++) {
		uint8_t size, select[TOOLS_SELECT], pad;
		uint16_t id;

		if (!assay_rd_u16(in, &id) || !assay_rd_u8(in, &size) ||
		    !assay_rd_copy(in, select, sizeof(select)) || !assay_rd_u8(in, &pad) ||
		    (i < count && (size > 3 || select[3])))
			return assay_err_set(err, -EBADMSG, "a malformed PCR file");
		if (i >= count)
			continue;
		if (!assay_hash_by_tpm_id(id, &ret->bank[i].alg))
			return assay_err_set(err, -EOPNOTSUPP, "unknown PCR bank 0x%04x", id);
		ret->bank[i].mask =
			select[0] | (uint32_t)select[1] << 8 | (uint32_t)select[2] << 16;
		ret->n++;
	}
	return 0;
}

/* The values of one TPML_DIGEST, into the labels from *@at on. */
static bool read_c_digests(struct assay_rd *in, struct assay_quote_pcrs *pcrs, uint32_t *at)
{
	uint32_t count;

	if (!assay_rd_u32(in, &count) || count > TOOLS_DIGESTS)
		return false;
	for (uint32_t i = 0; i < TOOLS_DIGESTS; i++) {
		struct assay_bytes value;
		uint16_t size;

		if (!assay_rd_u16(in, &size) || !assay_rd_bytes(in, TOOLS_DIGEST, &value))
			return false;
		if (i >= count)
			continue;
		if (*at == pcrs->n || size != assay_hash_size(pcrs->v[*at].bank))
			return false;
		memcpy(pcrs->v[(*at)++].value, value.data, size);
	}
	return true;
}

static int parse_serialized(struct assay_bytes file, struct assay_quote_pcrs *ret,
			    struct assay_err *err)
{
	struct assay_rd in = assay_rd(file);
	struct assay_selection s;
	uint32_t lists, at = 0;
	bool ok = true;
	int r = read_c_selection(&in, &s, err);

	if (r == 0)
		r = label(&s, ret, err);
	if (r < 0)
		return r;
	if (!assay_rd_u32(&in, &lists) || lists > TOOLS_LISTS_MAX)
		return assay_err_set(err, -EBADMSG, "a malformed PCR file");
	for (uint32_t i = 0; i < lists && ok; i++)
		ok = read_c_digests(&in, ret, &at);
	if (!ok || at != ret->n || !assay_rd_end(&in))
		return assay_err_set(err, -EBADMSG,
				     "the PCR file's values do not fit its "
				     "selection");
	return 0;
}

int assay_quote_parse_tools(struct assay_bytes file, const struct assay_selection *selection,
			    struct assay_quote_pcrs *ret, struct assay_err *err)
{
	struct assay_quote_pcrs pcrs = { 0 };
	size_t bare = 0;
	int r;

	for (uint32_t i = 0; i < selection->n; i++)
		bare += (size_t)__builtin_popcount(selection->bank[i].mask) *
			assay_hash_size(selection->bank[i].alg);
	r = file.len == bare ? parse_bare(file, selection, &pcrs, err)
			     : parse_serialized(file, &pcrs, err);
	if (r == 0)
		*ret = pcrs;
	return r;
}
