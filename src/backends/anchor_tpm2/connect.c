/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connection to the TPM, its end and its renewal, and the port's table. */
#include <errno.h>
#include <stdlib.h>
#include <tss2/tss2_rc.h>

#include "backends/anchor_tpm2/private.h"

#define TIMEOUT_MS     20000u
#define TIMEOUT_MS_MAX 3600000u

static int connect_esys(struct assay_anchor_tpm2 *a, struct assay_err *err)
{
	TSS2_RC rc;
	int r = assay_tpm2_load(a, err);

	if (r < 0)
		return r;
	rc = Esys_Initialize(&a->esys, a->tcti, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return assay_err_set(err, -ENODEV, "cannot use the TPM at '%s': %s (0x%x)",
				     assay_tpm2_where(a), Tss2_RC_Decode(rc), (unsigned)rc);
	a->lost = false;
	return 0;
}

static void disconnect(struct assay_anchor_tpm2 *a)
{
	if (a->esys)
		assay_tpm2_flush(a, &a->session);
	a->session = ESYS_TR_NONE;
	Esys_Finalize(&a->esys);
	assay_tpm2_unload(a);
	a->lost = true;
}

/* A fence before anything else: a TPM executes one command after the other, so when it answers
 * this one, what an earlier connection sent is over. */
static int greet(struct assay_anchor_tpm2 *a, struct assay_banks *ret, struct assay_err *err)
{
	struct assay_tpm_clock clock;
	int r = connect_esys(a, err);

	if (r == 0)
		r = assay_tpm2_clock(a, &clock, err);
	if (r == 0)
		r = assay_tpm2_banks(a, ret, err);
	if (r == 0)
		r = assay_tpm2_session_start(a, err);
	return r;
}

static int reopen(void *ctx, struct assay_err *err)
{
	struct assay_anchor_tpm2 *a = ctx;
	struct assay_banks banks = { 0 };
	int r;

	disconnect(a);
	r = greet(a, &banks, err);
	if (r == 0 && !assay_banks_equal(&a->banks, &banks))
		r = assay_err_set(err, -EIO, "the TPM has other PCR banks than before");
	if (r < 0)
		a->lost = true;
	return r;
}

static int banks(void *ctx, struct assay_banks *ret, struct assay_err *err)
{
	struct assay_anchor_tpm2 *a = ctx;

	(void)err;
	*ret = a->banks;
	return 0;
}

static int read_pcrs(void *ctx, uint32_t pcr_mask, struct assay_pcr_value values[ASSAY_PCRS],
		     struct assay_tpm_clock *ret_clock, struct assay_err *err)
{
	int r = assay_tpm2_ready(ctx, err);

	return r < 0 ? r : assay_tpm2_read(ctx, pcr_mask, values, ret_clock, err);
}

static int extend(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
		  struct assay_err *err)
{
	int r = assay_tpm2_ready(ctx, err);

	return r < 0 ? r : assay_tpm2_extend(ctx, pcr, digests, err);
}

static int quote(void *ctx, const struct assay_quote_request *request,
		 struct assay_quote_reply *ret, struct assay_err *err)
{
	int r = assay_tpm2_ready(ctx, err);

	return r < 0 ? r : assay_tpm2_quote(ctx, request, ret, err);
}

static const struct assay_anchor_ops ops = {
	.kind = ASSAY_ANCHOR_TPM2,
	.reopen = reopen,
	.banks = banks,
	.read = read_pcrs,
	.extend = extend,
	.quote = quote,
};

static int configure(struct assay_anchor_tpm2 *a, const struct assay_anchor_tpm2_config *config,
		     struct assay_err *err)
{
	if (config->size != sizeof(*config) || config->ek_name.len > ASSAY_TPM_NAME_MAX ||
	    config->timeout_ms > TIMEOUT_MS_MAX)
		return assay_err_set(err, -EINVAL, "a wrong configuration of the TPM anchor");
	a->timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_MS;
	a->want_session = config->session;
	a->session = ESYS_TR_NONE;
	a->ek_name.size = (UINT16)config->ek_name.len;
	if (config->ek_name.len)
		memcpy(a->ek_name.name, config->ek_name.data, config->ek_name.len);
	if (!config->tcti)
		return 0;
	a->tcti_name = strdup(config->tcti);
	return a->tcti_name ? 0 : assay_err_set(err, -ENOMEM, "out of memory");
}

int assay_anchor_tpm2_new(const struct assay_anchor_tpm2_config *config,
			  struct assay_anchor_tpm2 **ret, struct assay_err *err)
{
	AUTO(anchor_tpm2) struct assay_anchor_tpm2 *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return assay_err_set(err, -ENOMEM, "out of memory");
	r = configure(a, config, err);
	if (r == 0)
		r = greet(a, &a->banks, err);
	if (r == 0)
		*ret = TAKE(a);
	return r;
}

void assay_anchor_tpm2_free(struct assay_anchor_tpm2 *a)
{
	if (!a)
		return;
	disconnect(a);
	assay_tpm2_load_abandon(a);
	free(a->tcti_name);
	free(a);
}

struct assay_bytes assay_anchor_tpm2_ek_name(const struct assay_anchor_tpm2 *a)
{
	return assay_bytes(a->ek_name.name, a->ek_name.size);
}

struct assay_anchor assay_anchor_tpm2_port(struct assay_anchor_tpm2 *a)
{
	return (struct assay_anchor){ .ops = &ops, .ctx = a };
}
