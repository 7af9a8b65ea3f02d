/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Judges a quote: whether this key signed it, whether it answers this nonce, and whether the PCR
 * values that came with it are the ones that were quoted. Whose key that is, and what the values
 * mean, others must know.
 */
#pragma once

#include "engine/ports.h"
#include "formats/attest.h"
#include "formats/quote.h"
#include "formats/tpm_public.h"

/* In the order in which they are made; what is after the first that fails was not looked at. */
#define ASSAY_QUOTE_CHECK_LIST(X)                                                                  \
	X(KEY, "key")		  /* may the key be trusted to sign quotes only */                 \
	X(SIGNATURE, "signature") /* over the attestation, by the key */                           \
	X(FORM, "form")		  /* magic, type, shape */                                         \
	X(NONCE, "nonce")                                                                          \
	X(DEMANDED, "demanded")	  /* all PCRs that must be quoted are, and there are any */        \
	X(SELECTION, "selection") /* the values are of the PCRs that were quoted */                \
	X(PCRS, "pcrs")		  /* the digest is over these values */

enum assay_quote_check {
#define X(id, name) ASSAY_QUOTE_CHECK_##id,
	ASSAY_QUOTE_CHECK_LIST(X)
#undef X
		ASSAY_QUOTE_CHECK_COUNT
};

const char *assay_quote_check_name(enum assay_quote_check check);

struct assay_quote_verdict {
	bool holds;		       /* all checks that could be made */
	bool has_values;	       /* PCR values were given: the last two were made */
	enum assay_quote_check failed; /* COUNT: none */
	char why[200];		       /* of what failed */
	bool parsed;		       /* @attest is filled: signed by the key, and well-formed */
	struct assay_attest attest;    /* borrows from the quote */
	struct assay_tpm_signature signature;
};

struct assay_quote_question {
	const struct assay_key *key;
	const struct assay_tpm_public *public; /* NULL: the key's attributes are not known */
	struct assay_bytes nonce;
	struct assay_selection demanded; /* that must be quoted; n 0: any one PCR */
	/* A software anchor's quote may hold too; never under a TPM's key, which signs such bytes
	 * for whoever asks: they do not begin with the TPM's magic. */
	bool software;
};

/*
 * 0: judged, see @ret. Errors: what the crypto port cannot do (-EOPNOTSUPP a hash, -ENOMEM).
 * No PCR values in @q: only the signed part is judged.
 */
int assay_quote_judge(const struct assay_crypto *crypto, const struct assay_quote *q,
		      const struct assay_quote_question *question, struct assay_quote_verdict *ret,
		      struct assay_err *err);

/* The digest that a quote with hash @alg holds over @pcrs, which are at most
 * ASSAY_QUOTE_PCRS_MAX values. */
int assay_quote_digest(const struct assay_crypto *crypto, enum assay_hash alg,
		       const struct assay_quote_pcrs *pcrs, uint8_t *ret);

/* The value of a quoted PCR; NULL: it is not among them. */
const struct assay_quote_pcr *assay_quote_find(const struct assay_quote_pcrs *pcrs,
					       enum assay_hash bank, uint32_t pcr);
