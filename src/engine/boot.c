/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/boot.h"

#define NAME	      "boot_aggregate"
#define PCRS_FIRMWARE 0xffu  /* PCR 0 to 7 */
#define PCRS_AND_BOOT 0x3ffu /* and 8 and 9, where the boot loader measures */

/* By position: no digest protects a template's name, and a format string can call the fields
 * otherwise. A keyring can bear the name: what was measured is then a buffer, and not empty. */
bool assay_boot_read(const struct assay_template_data *cut, struct assay_digest *ret)
{
	enum assay_field first = cut->template.fields[0];

	if (cut->template.n_fields < 2 || assay_template_field(cut, ASSAY_FIELD_BUF).len ||
	    !assay_bytes_is(assay_field_text(cut->field[1]), NAME))
		return false;
	switch (assay_field_kind(first)) {
	case ASSAY_KIND_DIGEST:
	case ASSAY_KIND_DIGEST_ALGO:
	case ASSAY_KIND_DIGEST_TYPE_ALGO:
		return assay_field_digest(first, cut->field[0], ret, NULL) == 0;
	default:
		return false;
	}
}

static const struct assay_pcr_claim *find(const struct assay_pcr_claim *claims, size_t n,
					  enum assay_hash alg, uint32_t pcr)
{
	for (size_t i = 0; i < n; i++)
		if (claims[i].alg == alg && claims[i].pcr == pcr)
			return &claims[i];
	return NULL;
}

static bool is_proved(const struct assay_verify *v, const struct assay_boot *said)
{
	return assay_verify_proves(v, said->pcr, said->index, said->placed);
}

/* Its value now is not that of the boot. An entry that no value proves says nothing: it could be
 * put behind any list. */
static bool is_extended(const struct assay_verify *v, uint32_t pcr)
{
	struct assay_pcr_finding f;

	return assay_verify_pcr(v, pcr, &f) && f.best.steps > 0;
}

/* Over the PCRs of @mask. */
static int compare(const struct assay_crypto *crypto, const struct assay_verify *v,
		   const struct assay_pcr_claim *claims, size_t n, uint32_t mask,
		   struct assay_boot_finding *f)
{
	uint8_t all[10 * ASSAY_HASH_SIZE_MAX], digest[ASSAY_HASH_SIZE_MAX];
	enum assay_hash alg = f->said.digest.alg;
	struct assay_wr w = assay_wr(all, sizeof(all));
	size_t size = assay_hash_size(alg);
	int r;

	f->pcrs = mask;
	f->missing = 0;
	for (uint32_t p = 0; mask >> p; p++) {
		const struct assay_pcr_claim *c = find(claims, n, alg, p);

		if (!c || is_extended(v, p))
			f->missing |= 1u << p;
		else
			assay_wr_raw(&w, c->value, size);
	}
	f->state = ASSAY_BOOT_UNKNOWN;
	if (f->missing)
		return 0;
	r = crypto->ops->hash(crypto->ctx, alg, assay_wr_done(&w), digest);
	if (r == 0)
		f->state = memcmp(digest, f->said.digest.data, size) == 0 ? ASSAY_BOOT_AGREES
									  : ASSAY_BOOT_DIFFERS;
	return r;
}

static int judge_one(const struct assay_crypto *crypto, const struct assay_verify *v,
		     const struct assay_pcr_claim *claims, size_t n_claims,
		     const struct assay_boot *said, struct assay_boot_finding *ret)
{
	struct assay_boot_finding f = { .said = *said }, old;
	int r;

	f.zero = assay_bytes_all(assay_digest_bytes(&f.said.digest), 0);
	old = f;
	if (f.said.digest.alg == ASSAY_HASH_SHA1)
		r = compare(crypto, v, claims, n_claims, PCRS_FIRMWARE, &f);
	else
		r = compare(crypto, v, claims, n_claims, PCRS_AND_BOOT, &f);
	if (r == 0 && f.state != ASSAY_BOOT_AGREES && f.pcrs == PCRS_AND_BOOT) {
		r = compare(crypto, v, claims, n_claims, PCRS_FIRMWARE, &old);
		if (old.state == ASSAY_BOOT_AGREES)
			f = old;
	}
	if (r == 0)
		*ret = f;
	return r;
}

int assay_boot_judge(const struct assay_crypto *crypto, const struct assay_verify *v,
		     const struct assay_pcr_claim *claims, size_t n_claims,
		     const struct assay_boot *said, size_t n, struct assay_boot_finding *ret)
{
	struct assay_boot_finding f = { .state = ASSAY_BOOT_NONE }, later;
	bool settled = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n && !settled; i++) {
		if (!is_proved(v, &said[i]))
			continue;
		r = judge_one(crypto, v, claims, n_claims, &said[i], &later);
		later.first_differs = f.state == ASSAY_BOOT_DIFFERS;
		if (r == 0 && (said[i].first || later.state == ASSAY_BOOT_AGREES))
			f = later;
		settled = f.state >= ASSAY_BOOT_UNKNOWN;
	}
	if (r == 0)
		*ret = f;
	return r;
}
