/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/quote.h"

#include <errno.h>

#include "base/fmt.h"
#include "base/macros.h"

const char *assay_quote_check_name(enum assay_quote_check check)
{
	static const char *const names[] = {
#define X(id, name) [ASSAY_QUOTE_CHECK_##id] = (name),
		ASSAY_QUOTE_CHECK_LIST(X)
#undef X
	};

	return (unsigned)check < ARRAY_LEN(names) ? names[check] : "none";
}

static bool fails(struct assay_quote_verdict *v, enum assay_quote_check check, const char *why)
{
	v->failed = check;
	assay_fmt(v->why, sizeof(v->why), "%s", why);
	return false;
}

/* ---- the checks: true if it holds; *@r is set when it cannot be told ------------------------- */

static bool check_key(const struct assay_quote_question *question, struct assay_quote_verdict *v)
{
	const char *why = question->public ? assay_tpm_public_not_ak(question->public) : NULL;

	return why ? fails(v, ASSAY_QUOTE_CHECK_KEY, why) : true;
}

static bool check_signature(const struct assay_crypto *crypto, const struct assay_quote *q,
			    const struct assay_key *key, struct assay_quote_verdict *v, int *r)
{
	uint8_t digest[ASSAY_HASH_SIZE_MAX], der_buf[ASSAY_ECDSA_DER_MAX];
	struct assay_wr der = assay_wr(der_buf, sizeof(der_buf));
	struct assay_err why = { 0 };
	enum assay_sig_scheme scheme = ASSAY_SIG_RSA_PKCS1;
	struct assay_bytes sig;

	if (assay_tpm_signature_parse(q->signature, &v->signature, &why) < 0)
		return fails(v, ASSAY_QUOTE_CHECK_SIGNATURE, why.text);
	sig = v->signature.rsa;
	if (v->signature.kind == ASSAY_TPM_SIG_ECDSA) {
		assay_tpm_signature_der(&v->signature, &der);
		sig = assay_wr_done(&der);
		scheme = ASSAY_SIG_ECDSA;
	}
	*r = crypto->ops->hash(crypto->ctx, v->signature.hash, q->attest, digest);
	if (*r < 0)
		return false;
	*r = crypto->ops->verify(crypto->ctx, key, scheme, v->signature.hash,
				 assay_bytes(digest, assay_hash_size(v->signature.hash)), sig);
	if (*r == 0)
		return true;
	if (*r != -EKEYREJECTED && *r != -EOPNOTSUPP)
		return false;
	fails(v, ASSAY_QUOTE_CHECK_SIGNATURE,
	      *r == -EOPNOTSUPP ? "it is of another kind than the key"
				: "it is not this key's signature over this attestation");
	*r = 0;
	return false;
}

static bool check_form(const struct assay_quote *q, const struct assay_quote_question *question,
		       struct assay_quote_verdict *v)
{
	struct assay_err why = { 0 };

	if (assay_attest_parse(q->attest, &v->attest, &why) < 0)
		return fails(v, ASSAY_QUOTE_CHECK_FORM, why.text);
	if (v->attest.soft && question->public)
		return fails(v, ASSAY_QUOTE_CHECK_FORM,
			     "no TPM made it, though the key is a TPM's: forged");
	if (v->attest.soft && !question->software)
		return fails(v, ASSAY_QUOTE_CHECK_FORM,
			     "a software anchor made it, not a TPM, and that was not allowed");
	v->parsed = true;
	return true;
}

static uint32_t mask_of(const struct assay_selection *s, enum assay_hash alg)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->bank[i].alg == alg)
			return s->bank[i].mask;
	return 0;
}

static bool check_demanded(const struct assay_selection *demanded, struct assay_quote_verdict *v)
{
	const struct assay_selection *s = &v->attest.selection;

	if (assay_selection_count(s) == 0)
		return fails(v, ASSAY_QUOTE_CHECK_DEMANDED, "it quotes no PCR at all");
	for (uint32_t i = 0; i < demanded->n; i++) {
		enum assay_hash alg = demanded->bank[i].alg;
		uint32_t missing = demanded->bank[i].mask & ~mask_of(s, alg);

		if (!missing)
			continue;
		assay_fmt(v->why, sizeof(v->why), "PCR %u of bank %s is not quoted",
			  (unsigned)__builtin_ctz(missing), assay_hash_name(alg));
		v->failed = ASSAY_QUOTE_CHECK_DEMANDED;
		return false;
	}
	return true;
}

/* The given labels, in their order, are the selection's. */
static bool check_selection(const struct assay_quote *q, struct assay_quote_verdict *v)
{
	const struct assay_selection *s = &v->attest.selection;
	uint32_t at = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
			if (!(s->bank[i].mask & 1u << p))
				continue;
			if (at == q->pcrs.n || q->pcrs.v[at].bank != s->bank[i].alg ||
			    q->pcrs.v[at].pcr != p)
				return fails(v, ASSAY_QUOTE_CHECK_SELECTION,
					     "the values given are of other PCRs than were quoted");
			at++;
		}
	}
	return at == q->pcrs.n ? true
			       : fails(v, ASSAY_QUOTE_CHECK_SELECTION,
				       "more values are given than were quoted");
}

int assay_quote_digest(const struct assay_crypto *crypto, enum assay_hash alg,
		       const struct assay_quote_pcrs *pcrs, uint8_t *ret)
{
	struct assay_hash_ctx *h;
	int r = crypto->ops->hash_new(crypto->ctx, alg, &h);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < pcrs->n && r == 0; i++)
		r = crypto->ops->hash_update(h, assay_bytes(pcrs->v[i].value,
							    assay_hash_size(pcrs->v[i].bank)));
	if (r == 0)
		r = crypto->ops->hash_final(h, ret);
	crypto->ops->hash_free(h);
	return r;
}

static bool check_pcrs(const struct assay_crypto *crypto, const struct assay_quote *q,
		       struct assay_quote_verdict *v, int *r)
{
	uint8_t digest[ASSAY_HASH_SIZE_MAX];
	enum assay_hash alg = v->signature.hash;

	*r = assay_quote_digest(crypto, alg, &q->pcrs, digest);
	if (*r < 0)
		return false;
	if (assay_bytes_equal(v->attest.pcr_digest, assay_bytes(digest, assay_hash_size(alg))))
		return true;
	return fails(v, ASSAY_QUOTE_CHECK_PCRS, "the values given are not those that were quoted");
}

int assay_quote_judge(const struct assay_crypto *crypto, const struct assay_quote *q,
		      const struct assay_quote_question *question, struct assay_quote_verdict *ret,
		      struct assay_err *err)
{
	struct assay_quote_verdict v = { .failed = ASSAY_QUOTE_CHECK_COUNT,
					 .has_values = q->pcrs.n > 0 };
	int r = 0;
	bool holds = check_key(question, &v) && check_signature(crypto, q, question->key, &v, &r) &&
		     check_form(q, question, &v);

	if (holds && !assay_bytes_equal(v.attest.nonce, question->nonce))
		holds = fails(&v, ASSAY_QUOTE_CHECK_NONCE,
			      "it answers another nonce: an old quote, or another's");
	holds = holds && check_demanded(&question->demanded, &v);
	if (holds && v.has_values)
		holds = check_selection(q, &v) && check_pcrs(crypto, q, &v, &r);
	if (r < 0)
		return assay_err_set(err, r, "cannot compute '%s'",
				     assay_hash_name(v.signature.hash));
	v.holds = holds;
	*ret = v;
	return 0;
}

const struct assay_quote_pcr *assay_quote_find(const struct assay_quote_pcrs *pcrs,
					       enum assay_hash bank, uint32_t pcr)
{
	for (uint32_t i = 0; i < pcrs->n; i++)
		if (pcrs->v[i].bank == bank && pcrs->v[i].pcr == pcr)
			return &pcrs->v[i];
	return NULL;
}
