/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/cel.h"

/* CEL 1.0: types of the fields of a record, and of an IMA_TEMPLATE's. */
enum {
	CEL_RECNUM = 0,
	CEL_PCR = 1,
	CEL_DIGESTS = 3,
	CEL_IMA_TEMPLATE = 7,
	IMA_TEMPLATE_NAME = 0,
	IMA_TEMPLATE_DATA = 1,
};

/* u8 type, u32 length, both and all numbers in them big-endian. */
static void write_head(struct assay_wr *w, uint8_t type, size_t len)
{
	assay_wr_u8(w, type);
	assay_wr_u32(w, (uint32_t)len);
}

static void write_tlv(struct assay_wr *w, uint8_t type, struct assay_bytes value)
{
	write_head(w, type, value.len);
	assay_wr_bytes(w, value);
}

void assay_cel_encode(const struct assay_cel *c, struct assay_wr *w)
{
	bool was_big = w->big;
	size_t len = 0;

	w->big = true;
	write_head(w, CEL_RECNUM, 8);
	assay_wr_u64(w, c->recnum);
	write_head(w, CEL_PCR, 4);
	assay_wr_u32(w, c->pcr);
	for (uint32_t i = 0; i < c->banks->n; i++)
		len += 5 + assay_hash_size(c->banks->alg[i]);
	write_head(w, CEL_DIGESTS, len);
	for (uint32_t i = 0; i < c->banks->n; i++)
		write_tlv(w, (uint8_t)assay_hash_tpm_id(c->banks->alg[i]),
			  assay_bytes(c->digests->value[i], assay_hash_size(c->banks->alg[i])));
	write_head(w, CEL_IMA_TEMPLATE, 10 + c->template_name.len + c->template_data.len);
	write_tlv(w, IMA_TEMPLATE_NAME, c->template_name);
	write_tlv(w, IMA_TEMPLATE_DATA, c->template_data);
	w->big = was_big;
}

static void print_hex(struct assay_wr *w, struct assay_bytes in)
{
	assay_wr_u8(w, '"');
	assay_wr_hex(w, in);
	assay_wr_u8(w, '"');
}

/* Template names are of letters, digits, '-' and '|': nothing to escape. */
void assay_cel_print(const struct assay_cel *c, struct assay_wr *w)
{
	assay_wr_fmt(w, "{\"recnum\":%llu,\"pcr\":%u,\"digests\":[", (unsigned long long)c->recnum,
		     c->pcr);
	for (uint32_t i = 0; i < c->banks->n; i++) {
		assay_wr_fmt(w, "%s{\"hashAlg\":\"%s\",\"digest\":", i ? "," : "",
			     assay_hash_name(c->banks->alg[i]));
		print_hex(w, assay_bytes(c->digests->value[i], assay_hash_size(c->banks->alg[i])));
		assay_wr_u8(w, '}');
	}
	assay_wr_str(w, "],\"content_type\":\"ima_template\",\"content\":{\"template_name\":\"");
	assay_wr_bytes(w, c->template_name);
	assay_wr_str(w, "\",\"template_data\":");
	print_hex(w, c->template_data);
	assay_wr_str(w, "}}");
}
