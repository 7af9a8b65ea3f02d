/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attestation keys and quotes. The parent of a key is the owner's storage primary, made anew from
 * its template each time: the same template gives the same key as long as the owner's seed lives,
 * so nothing has to be kept in the TPM (docs/decisions/0005-attestation-keys.md).
 */
#include <errno.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include "backends/anchor_tpm2/private.h"

/* TCG TPM v2.0 Provisioning Guidance 7.5.1 and EK Credential Profile, template L-2, as a storage
 * key: P-256, AES-128-CFB. */
static const TPM2B_PUBLIC storage_template = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
				    TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
		.parameters.eccDetail = STORAGE_P256,
		.unique.ecc = { .x.size = 32, .y.size = 32 },
	},
};

#define AK_ATTRIBUTES                                                                              \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |        \
	 TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT)

static const TPM2B_PUBLIC ak_templates[] = {
	[ASSAY_AK_ECC_P256] = { .publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = AK_ATTRIBUTES,
		.parameters.eccDetail = {
			.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme = { .scheme = TPM2_ALG_ECDSA,
				    .details.ecdsa.hashAlg = TPM2_ALG_SHA256 },
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL,
		},
	} },
	[ASSAY_AK_RSA_2048] = { .publicArea = {
		.type = TPM2_ALG_RSA,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = AK_ATTRIBUTES,
		.parameters.rsaDetail = {
			.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme = { .scheme = TPM2_ALG_RSASSA,
				    .details.rsassa.hashAlg = TPM2_ALG_SHA256 },
			.keyBits = 2048,
		},
	} },
};

/* ---- objects in the TPM --------------------------------------------------------------------- */

struct primary_reply {
	ESYS_TR handle;
	TPM2B_PUBLIC *public;
	TPM2B_CREATION_DATA *data;
	TPM2B_DIGEST *hash;
	TPMT_TK_CREATION *ticket;
};

static TSS2_RC finish_primary(ESYS_CONTEXT *esys, void *out)
{
	struct primary_reply *p = out;

	return Esys_CreatePrimary_Finish(esys, &p->handle, &p->public, &p->data, &p->hash,
					 &p->ticket);
}

static TSS2_RC send_primary(struct assay_anchor_tpm2 *a, ESYS_TR hierarchy,
			    const TPM2B_PUBLIC *template)
{
	static const TPM2B_SENSITIVE_CREATE sensitive = { 0 };
	static const TPM2B_DATA outside = { 0 };
	static const TPML_PCR_SELECTION pcrs = { 0 };

	return Esys_CreatePrimary_Async(a->esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE,
					ESYS_TR_NONE, &sensitive, template, &outside, &pcrs);
}

int assay_tpm2_create_primary(struct assay_anchor_tpm2 *a, ESYS_TR hierarchy,
			      const TPM2B_PUBLIC *template, ESYS_TR *ret, struct assay_err *err)
{
	struct primary_reply p = { .handle = ESYS_TR_NONE };
	int r = assay_tpm2_call(a, "TPM2_CreatePrimary", send_primary(a, hierarchy, template),
				finish_primary, &p, err);

	if (r == 0)
		*ret = p.handle;
	Esys_Free(p.public);
	Esys_Free(p.data);
	Esys_Free(p.hash);
	Esys_Free(p.ticket);
	return r;
}

static TSS2_RC finish_flush(ESYS_CONTEXT *esys, void *out)
{
	(void)out;
	return Esys_FlushContext_Finish(esys);
}

void assay_tpm2_flush(struct assay_anchor_tpm2 *a, ESYS_TR *handle)
{
	if (*handle != ESYS_TR_NONE && !a->lost)
		assay_tpm2_call(a, "TPM2_FlushContext", Esys_FlushContext_Async(a->esys, *handle),
				finish_flush, NULL, NULL);
	*handle = ESYS_TR_NONE;
}

/* ---- attestation keys ----------------------------------------------------------------------- */

struct create_reply {
	TPM2B_PRIVATE *private;
	TPM2B_PUBLIC *public;
	TPM2B_CREATION_DATA *data;
	TPM2B_DIGEST *hash;
	TPMT_TK_CREATION *ticket;
};

static TSS2_RC finish_create(ESYS_CONTEXT *esys, void *out)
{
	struct create_reply *c = out;

	return Esys_Create_Finish(esys, &c->private, &c->public, &c->data, &c->hash, &c->ticket);
}

static int marshal_ak(const struct create_reply *c, struct assay_ak *ret, struct assay_err *err)
{
	struct assay_ak ak = { 0 };

	if (Tss2_MU_TPM2B_PUBLIC_Marshal(c->public, ak.public, sizeof(ak.public), &ak.public_len) !=
		    TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Marshal(c->private, ak.private, sizeof(ak.private),
					  &ak.private_len) != TSS2_RC_SUCCESS)
		return assay_err_set(err, -E2BIG, "the TPM made a key of more than %d bytes",
				     ASSAY_AK_BLOB_MAX);
	*ret = ak;
	return 0;
}

static int create_under(struct assay_anchor_tpm2 *a, ESYS_TR parent, const TPM2B_PUBLIC *template,
			struct assay_ak *ret, struct assay_err *err)
{
	static const TPM2B_SENSITIVE_CREATE sensitive = { 0 };
	static const TPM2B_DATA outside = { 0 };
	static const TPML_PCR_SELECTION pcrs = { 0 };
	struct create_reply c = { 0 };
	TSS2_RC sent = Esys_Create_Async(a->esys, parent, ESYS_TR_PASSWORD, ESYS_TR_NONE,
					 ESYS_TR_NONE, &sensitive, template, &outside, &pcrs);
	int r = assay_tpm2_call(a, "TPM2_Create", sent, finish_create, &c, err);

	if (r == 0)
		r = marshal_ak(&c, ret, err);
	Esys_Free(c.private);
	Esys_Free(c.public);
	Esys_Free(c.data);
	Esys_Free(c.hash);
	Esys_Free(c.ticket);
	return r;
}

/* The storage key; makes room for it if there is none. Nothing else of ours is loaded then. */
static int make_parent(struct assay_anchor_tpm2 *a, ESYS_TR *ret, struct assay_err *err)
{
	int r = assay_tpm2_create_primary(a, ESYS_TR_RH_OWNER, &storage_template, ret, err);

	if (r != -EAGAIN || !a->full)
		return r;
	r = assay_tpm2_sweep(a, TPM2_OBJECTS, err);
	return r < 0 ? r
		     : assay_tpm2_create_primary(a, ESYS_TR_RH_OWNER, &storage_template, ret, err);
}

int assay_anchor_tpm2_create_ak(struct assay_anchor_tpm2 *a, enum assay_ak_algorithm algorithm,
				struct assay_ak *ret, struct assay_err *err)
{
	ESYS_TR parent = ESYS_TR_NONE;
	int r = assay_tpm2_ready(a, err);

	if (r == 0)
		r = make_parent(a, &parent, err);
	if (r == 0)
		r = create_under(a, parent, &ak_templates[algorithm], ret, err);
	assay_tpm2_flush(a, &parent);
	return r;
}

static int unmarshal_ak(const struct assay_quote_request *q, TPM2B_PUBLIC *public,
			TPM2B_PRIVATE *private, struct assay_err *err)
{
	size_t public_end = 0, private_end = 0;

	if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(q->ak_public.data, q->ak_public.len, &public_end,
					   public) != TSS2_RC_SUCCESS ||
	    public_end != q->ak_public.len)
		return assay_err_set(err, -EBADMSG,
				     "the attestation key's public part is "
				     "malformed");
	if (Tss2_MU_TPM2B_PRIVATE_Unmarshal(q->ak_private.data, q->ak_private.len, &private_end,
					    private) != TSS2_RC_SUCCESS ||
	    private_end != q->ak_private.len)
		return assay_err_set(err, -EBADMSG,
				     "the attestation key's private part is "
				     "malformed");
	return 0;
}

static TSS2_RC finish_load(ESYS_CONTEXT *esys, void *out)
{
	return Esys_Load_Finish(esys, out);
}

static int load_ak(struct assay_anchor_tpm2 *a, const struct assay_quote_request *q, ESYS_TR *ret,
		   struct assay_err *err)
{
	TPM2B_PUBLIC public = { 0 };
	TPM2B_PRIVATE private = { 0 };
	ESYS_TR parent = ESYS_TR_NONE;
	int r = unmarshal_ak(q, &public, &private, err);

	if (r == 0)
		r = make_parent(a, &parent, err);
	if (r == 0)
		r = assay_tpm2_call(a, "TPM2_Load",
				    Esys_Load_Async(a->esys, parent, ESYS_TR_PASSWORD, ESYS_TR_NONE,
						    ESYS_TR_NONE, &private, &public),
				    finish_load, ret, err);
	assay_tpm2_flush(a, &parent);
	return r;
}

/* ---- quotes --------------------------------------------------------------------------------- */

static void select_pcrs(const struct assay_anchor_tpm2 *a, const struct assay_quote_request *q,
			TPML_PCR_SELECTION *ret)
{
	*ret = (TPML_PCR_SELECTION){ 0 };
	for (uint32_t b = 0; b < a->banks.n; b++) {
		TPMS_PCR_SELECTION *s = &ret->pcrSelections[ret->count];

		if (!(q->bank_mask & 1u << b))
			continue;
		s->hash = assay_hash_tpm_id(a->banks.alg[b]);
		s->sizeofSelect = 3;
		for (unsigned i = 0; i < 3; i++)
			s->pcrSelect[i] = (uint8_t)(q->pcr_mask >> 8 * i);
		ret->count++;
	}
}

struct quote_reply {
	TPM2B_ATTEST *attest;
	TPMT_SIGNATURE *signature;
};

static TSS2_RC finish_quote(ESYS_CONTEXT *esys, void *out)
{
	struct quote_reply *q = out;

	return Esys_Quote_Finish(esys, &q->attest, &q->signature);
}

static int take_quote(const struct quote_reply *q, struct assay_quote_reply *ret,
		      struct assay_err *err)
{
	struct assay_quote_reply reply = { .attest_len = q->attest->size };

	if (q->attest->size > sizeof(reply.attest) ||
	    Tss2_MU_TPMT_SIGNATURE_Marshal(q->signature, reply.signature, sizeof(reply.signature),
					   &reply.signature_len) != TSS2_RC_SUCCESS)
		return assay_err_set(err, -E2BIG, "the TPM made a quote over the limits");
	memcpy(reply.attest, q->attest->attestationData, q->attest->size);
	*ret = reply;
	return 0;
}

int assay_tpm2_quote(struct assay_anchor_tpm2 *a, const struct assay_quote_request *request,
		     struct assay_quote_reply *ret, struct assay_err *err)
{
	static const TPMT_SIG_SCHEME of_key = { .scheme = TPM2_ALG_NULL };
	TPM2B_DATA nonce = { .size = (UINT16)request->nonce.len };
	struct quote_reply q = { 0 };
	TPML_PCR_SELECTION pcrs;
	ESYS_TR ak = ESYS_TR_NONE;
	int r;

	if (request->nonce.len > ASSAY_NONCE_MAX)
		return assay_err_set(err, -EINVAL, "a nonce of more than %d bytes",
				     ASSAY_NONCE_MAX);
	if (request->nonce.len)
		memcpy(nonce.buffer, request->nonce.data, request->nonce.len);
	select_pcrs(a, request, &pcrs);
	r = load_ak(a, request, &ak, err);
	if (r == 0)
		r = assay_tpm2_call(a, "TPM2_Quote",
				    Esys_Quote_Async(a->esys, ak, assay_tpm2_session(a),
						     ESYS_TR_NONE, ESYS_TR_NONE, &nonce, &of_key,
						     &pcrs),
				    finish_quote, &q, err);
	if (r == 0)
		r = take_quote(&q, ret, err);
	assay_tpm2_flush(a, &ak);
	Esys_Free(q.attest);
	Esys_Free(q.signature);
	return r;
}
