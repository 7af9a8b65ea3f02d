/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An HMAC session whose secret only the TPM with this endorsement key can know: who sits on the bus
 * can neither change an extend or a quote nor answer in the TPM's place without being found out.
 * Which key that is must be remembered from a time when the bus was trusted (the key's name).
 * docs/decisions/0004-tpm-session.md.
 */
#include <errno.h>
#include <string.h>

#include "backends/anchor_tpm2/private.h"

/* PolicySecret(TPM_RH_ENDORSEMENT), SHA-256: TCG EK Credential Profile 2.3, B.3.2 ("PolicyA"). */
#define EK_POLICY                                                                                  \
	{                                                                                          \
		.size = 32,                                                                        \
		.buffer = "\x83\x71\x97\x67\x44\x84\xb3\xf8\x1a\x90\xcc\x8d\x46\xa5\xd7\x24"       \
			  "\xfd\x52\xd7\x6e\x06\x52\x0b\x64\xf2\xa1\xda\x1b\x33\x14\x69\xaa"       \
	}

#define EK_ATTRIBUTES                                                                              \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |        \
	 TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)

/* Templates L-2 (P-256) and L-1 (RSA-2048) of the same profile: the keys that makers certify. */
static const TPM2B_PUBLIC ek_templates[] = {
	{ .publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = EK_ATTRIBUTES,
		.authPolicy = EK_POLICY,
		.parameters.eccDetail = STORAGE_P256,
		.unique.ecc = { .x.size = 32, .y.size = 32 },
	} },
	{ .publicArea = {
		.type = TPM2_ALG_RSA,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = EK_ATTRIBUTES,
		.authPolicy = EK_POLICY,
		.parameters.rsaDetail = {
			.symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128,
				       .mode.aes = TPM2_ALG_CFB },
			.scheme.scheme = TPM2_ALG_NULL,
			.keyBits = 2048,
		},
		.unique.rsa.size = 256,
	} },
};

static int make_ek(struct assay_anchor_tpm2 *a, ESYS_TR *ret, struct assay_err *err)
{
	int r = -EIO;

	for (size_t i = 0; i < ARRAY_LEN(ek_templates) && r == -EIO && !a->lost; i++)
		r = assay_tpm2_create_primary(a, ESYS_TR_RH_ENDORSEMENT, &ek_templates[i], ret,
					      err);
	if (r < 0)
		assay_err_prefix(err, "cannot make the endorsement key");
	return r;
}

/* The first key that is seen is the one; later ones must be the same. */
static int pin_ek(struct assay_anchor_tpm2 *a, ESYS_TR ek, struct assay_err *err)
{
	TPM2B_NAME *name = NULL;
	int r = 0;

	if (Esys_TR_GetName(a->esys, ek, &name) != TSS2_RC_SUCCESS)
		return assay_err_set(err, -EIO, "the endorsement key has no name");
	if (a->ek_name.size == 0)
		a->ek_name = *name;
	else if (a->ek_name.size != name->size ||
		 memcmp(a->ek_name.name, name->name, name->size) != 0)
		r = assay_err_set(err, -EKEYREJECTED,
				  "this TPM has another endorsement key than "
				  "the one that is pinned");
	Esys_Free(name);
	return r;
}

static TSS2_RC finish_session(ESYS_CONTEXT *esys, void *out)
{
	return Esys_StartAuthSession_Finish(esys, out);
}

static int start(struct assay_anchor_tpm2 *a, ESYS_TR ek, struct assay_err *err)
{
	static const TPMT_SYM_DEF aes = { .algorithm = TPM2_ALG_AES,
					  .keyBits.aes = 128,
					  .mode.aes = TPM2_ALG_CFB };
	TSS2_RC sent = Esys_StartAuthSession_Async(a->esys, ek, ESYS_TR_NONE, ESYS_TR_NONE,
						   ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_HMAC,
						   &aes, TPM2_ALG_SHA256);

	return assay_tpm2_call(a, "TPM2_StartAuthSession", sent, finish_session, &a->session, err);
}

static int start_once(struct assay_anchor_tpm2 *a, struct assay_err *err)
{
	ESYS_TR ek = ESYS_TR_NONE;
	int r = make_ek(a, &ek, err);

	if (r == 0)
		r = pin_ek(a, ek, err);
	if (r == 0)
		r = start(a, ek, err);
	if (r == 0 && Esys_TRSess_SetAttributes(a->esys, a->session, TPMA_SESSION_CONTINUESESSION,
						0xff) != TSS2_RC_SUCCESS)
		r = assay_err_set(err, -EIO, "cannot keep the TPM session open");
	assay_tpm2_flush(a, &ek);
	return r;
}

int assay_tpm2_session_start(struct assay_anchor_tpm2 *a, struct assay_err *err)
{
	int r;

	if (a->want_session != ASSAY_TPM_SESSION_HMAC)
		return 0;
	r = start_once(a, err);
	if (r != -EAGAIN || !a->full)
		return r;
	r = assay_tpm2_sweep(a, TPM2_OBJECTS, err);
	if (r == 0)
		r = assay_tpm2_sweep(a, TPM2_SESSIONS, err);
	return r < 0 ? r : start_once(a, err);
}

ESYS_TR assay_tpm2_session(const struct assay_anchor_tpm2 *a)
{
	return a->session == ESYS_TR_NONE ? ESYS_TR_PASSWORD : a->session;
}
