/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See docs/formats/quote.md, section 4. */
#include "formats/tpm_public.h"

#include <errno.h>

#include "base/macros.h"
#include "base/rd.h"
#include "formats/der.h"

#define ALG_RSA	   0x0001u
#define ALG_RSAES  0x0015u
#define ALG_ECDAA  0x001au
#define ALG_NULL   0x0010u
#define ALG_ECC	   0x0023u
#define POLICY_MAX 64

struct curve_row {
	uint16_t tpm_id;
	uint8_t size; /* bytes of a coordinate */
	uint8_t oid_len;
	uint8_t oid[12];
};

static const struct curve_row curves[ASSAY_CURVE_COUNT] = {
	[ASSAY_CURVE_P256] = { 3, 32, 10, { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 } },
	[ASSAY_CURVE_P384] = { 4, 48, 7, { 6, 5, 0x2b, 0x81, 4, 0, 0x22 } },
	[ASSAY_CURVE_P521] = { 5, 66, 7, { 6, 5, 0x2b, 0x81, 4, 0, 0x23 } },
};

static const uint8_t oid_rsa[] = {
	6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 5, 0
};
static const uint8_t oid_ec[] = { 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1 };

static bool is_2b(struct assay_bytes in)
{
	return in.len >= 2 && (size_t)(in.data[0] << 8 | in.data[1]) == in.len - 2;
}

bool assay_tpm_public_is(struct assay_bytes in)
{
	return is_2b(in) ||
	       (in.len >= 2 && in.data[0] == 0 && (in.data[1] == ALG_RSA || in.data[1] == ALG_ECC));
}

/* TPMT_SYM_DEF_OBJECT: of a storage key; a signing key has none. */
static bool skip_symmetric(struct assay_rd *in)
{
	uint16_t alg, bits, mode;

	if (!assay_rd_u16(in, &alg))
		return false;
	return alg == ALG_NULL || (assay_rd_u16(in, &bits) && assay_rd_u16(in, &mode));
}

static bool read_scheme(struct assay_rd *in, struct assay_tpm_public *p)
{
	uint16_t count;

	if (!assay_rd_u16(in, &p->scheme))
		return false;
	if (p->scheme == ALG_NULL || p->scheme == ALG_RSAES)
		return true;
	if (!assay_rd_u16(in, &p->scheme_hash))
		return false;
	return p->scheme != ALG_ECDAA || assay_rd_u16(in, &count);
}

static bool parse_rsa(struct assay_rd *in, struct assay_tpm_public *p)
{
	if (!skip_symmetric(in) || !read_scheme(in, p) || !assay_rd_u16(in, &p->bits) ||
	    !assay_rd_u32(in, &p->exponent) ||
	    !assay_rd_field16(in, ASSAY_TPM_RSA_MAX, &p->modulus))
		return false;
	if (!p->exponent)
		p->exponent = 65537; /* part 2, 12.2.3.5 */
	return p->modulus.len == p->bits / 8u && p->bits % 8 == 0 && p->bits >= 1024;
}

static int parse_ecc(struct assay_rd *in, struct assay_tpm_public *p)
{
	uint16_t curve, kdf, hash;
	bool found = false;

	if (!skip_symmetric(in) || !read_scheme(in, p) || !assay_rd_u16(in, &curve) ||
	    !assay_rd_u16(in, &kdf) || (kdf != ALG_NULL && !assay_rd_u16(in, &hash)))
		return -EBADMSG;
	for (unsigned i = 0; i < ASSAY_CURVE_COUNT && !found; i++) {
		p->curve = (enum assay_tpm_curve)i;
		found = curves[i].tpm_id == curve;
	}
	if (!found)
		return -EOPNOTSUPP;
	return assay_rd_field16(in, curves[p->curve].size, &p->x) &&
			       assay_rd_field16(in, curves[p->curve].size, &p->y)
		       ? 0
		       : -EBADMSG;
}

static int parse_area(struct assay_rd *in, struct assay_tpm_public *p, struct assay_err *err)
{
	struct assay_bytes policy;
	uint16_t type, name_alg;
	int r;

	if (!assay_rd_u16(in, &type) || !assay_rd_u16(in, &name_alg) ||
	    !assay_rd_u32(in, &p->attributes) || !assay_rd_field16(in, POLICY_MAX, &policy))
		return assay_err_set(err, -EBADMSG, "a malformed TPM public area");
	if (type != ALG_RSA && type != ALG_ECC)
		return assay_err_set(err, -EOPNOTSUPP,
				     "a TPM object of type 0x%04x, not an RSA or ECC key", type);
	if (!assay_hash_by_tpm_id(name_alg, &p->name_alg))
		return assay_err_set(err, -EOPNOTSUPP, "a TPM key with the unknown nameAlg 0x%04x",
				     name_alg);
	p->kind = type == ALG_RSA ? ASSAY_TPM_KEY_RSA : ASSAY_TPM_KEY_ECC;
	if (p->kind == ASSAY_TPM_KEY_RSA)
		r = parse_rsa(in, p) ? 0 : -EBADMSG;
	else
		r = parse_ecc(in, p);
	if (r == 0 && !assay_rd_end(in))
		r = -EBADMSG;
	if (r == 0)
		return 0;
	return assay_err_set(err, r,
			     r == -EBADMSG ? "a malformed TPM public area"
					   : "a TPM key on an unknown curve");
}

int assay_tpm_public_parse(struct assay_bytes in, struct assay_tpm_public *ret,
			   struct assay_err *err)
{
	struct assay_tpm_public p = { 0 };
	struct assay_rd rd;
	int r;

	if (in.len > ASSAY_TPM_PUBLIC_MAX)
		return assay_err_set(err, -E2BIG, "a TPM public area of more than %d bytes",
				     ASSAY_TPM_PUBLIC_MAX);
	p.area = is_2b(in) ? assay_bytes(in.data + 2, in.len - 2) : in;
	rd = assay_rd(p.area);
	rd.big = true;
	r = parse_area(&rd, &p, err);
	if (r == 0)
		*ret = p;
	return r;
}

/* ---- SubjectPublicKeyInfo: RFC 3279 2.3.1, RFC 5480 2 ---------------------------------------- */

static void write_rsa_key(const struct assay_tpm_public *p, struct assay_wr *w)
{
	uint8_t buf[ASSAY_TPM_RSA_MAX + 16], e[4];
	struct assay_wr body = assay_wr(buf, sizeof(buf)), number = assay_wr(e, sizeof(e));

	number.big = true;
	assay_wr_u32(&number, p->exponent);
	assay_der_integer(&body, p->modulus);
	assay_der_integer(&body, assay_wr_done(&number));
	assay_der_wrap(w, ASSAY_DER_SEQUENCE, assay_wr_done(&body));
	w->full = w->full || body.full;
}

/* TPMs leave out leading zeros; a point does not. */
static void write_point(const struct assay_tpm_public *p, struct assay_wr *w)
{
	size_t size = curves[p->curve].size;

	assay_wr_u8(w, 4); /* uncompressed */
	assay_wr_zero(w, size - p->x.len);
	assay_wr_bytes(w, p->x);
	assay_wr_zero(w, size - p->y.len);
	assay_wr_bytes(w, p->y);
}

void assay_tpm_public_spki(const struct assay_tpm_public *p, struct assay_wr *w)
{
	uint8_t id_buf[32], key_buf[ASSAY_TPM_RSA_MAX + 32], body_buf[ASSAY_TPM_SPKI_MAX];
	struct assay_wr id = assay_wr(id_buf, sizeof(id_buf));
	struct assay_wr key = assay_wr(key_buf, sizeof(key_buf));
	struct assay_wr body = assay_wr(body_buf, sizeof(body_buf));

	assay_wr_u8(&key, 0); /* unused bits of the BIT STRING */
	if (p->kind == ASSAY_TPM_KEY_RSA) {
		assay_wr_raw(&id, oid_rsa, sizeof(oid_rsa));
		write_rsa_key(p, &key);
	} else {
		assay_wr_raw(&id, oid_ec, sizeof(oid_ec));
		assay_wr_raw(&id, curves[p->curve].oid, curves[p->curve].oid_len);
		write_point(p, &key);
	}
	assay_der_wrap(&body, ASSAY_DER_SEQUENCE, assay_wr_done(&id));
	assay_der_wrap(&body, ASSAY_DER_BIT_STRING, assay_wr_done(&key));
	assay_der_wrap(w, ASSAY_DER_SEQUENCE, assay_wr_done(&body));
	w->full = w->full || id.full || key.full || body.full;
}

const char *assay_tpm_public_not_ak(const struct assay_tpm_public *p)
{
	static const struct {
		uint32_t bit;
		const char *without;
	} rows[] = {
		{ ASSAY_TPMA_FIXED_TPM, "it may leave its TPM (fixedTPM is off)" },
		{ ASSAY_TPMA_FIXED_PARENT, "it may be moved (fixedParent is off)" },
		{ ASSAY_TPMA_SENSITIVE_DATA_ORIGIN,
		  "it was not made in a TPM (sensitiveDataOrigin is off)" },
		{ ASSAY_TPMA_RESTRICTED, "it signs what it is given (restricted is off)" },
		{ ASSAY_TPMA_SIGN, "it does not sign (sign is off)" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!(p->attributes & rows[i].bit))
			return rows[i].without;
	return p->attributes & ASSAY_TPMA_DECRYPT ? "it decrypts too (decrypt is on)" : NULL;
}
