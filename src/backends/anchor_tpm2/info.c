/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a TPM says of itself, for people. */
#include "backends/anchor_tpm2/private.h"

#define PROPERTIES_MAX 32u

static TSS2_RC finish_capability(ESYS_CONTEXT *esys, void *out)
{
	TPMI_YES_NO more;

	return Esys_GetCapability_Finish(esys, &more, out);
}

static void take_property(const TPMS_TAGGED_PROPERTY *p, struct assay_tpm_info *info)
{
	switch (p->property) {
	case TPM2_PT_REVISION:
		info->spec_revision = p->value;
		break;
	case TPM2_PT_MANUFACTURER:
		for (int i = 0; i < 4; i++) {
			char c = (char)(p->value >> (24 - 8 * i));

			info->manufacturer[i] = c == '\0' || (c >= 0x20 && c < 0x7f) ? c : '?';
		}
		break;
	case TPM2_PT_FIRMWARE_VERSION_1:
		info->firmware[0] = p->value;
		break;
	case TPM2_PT_FIRMWARE_VERSION_2:
		info->firmware[1] = p->value;
		break;
	default:
		break;
	}
}

/* The caller frees *@ret with Esys_Free(). */
static int get_capability(struct assay_anchor_tpm2 *a, TPM2_CAP capability, UINT32 property,
			  TPMS_CAPABILITY_DATA **ret, struct assay_err *err)
{
	int r = assay_tpm2_ready(a, err);

	if (r < 0)
		return r;
	return assay_tpm2_call(a, "TPM2_GetCapability",
			       Esys_GetCapability_Async(a->esys, ESYS_TR_NONE, ESYS_TR_NONE,
							ESYS_TR_NONE, capability, property,
							PROPERTIES_MAX),
			       finish_capability, ret, err);
}

int assay_anchor_tpm2_info(struct assay_anchor_tpm2 *a, struct assay_tpm_info *ret,
			   struct assay_err *err)
{
	struct assay_tpm_info info = { .banks = a->banks };
	TPMS_CAPABILITY_DATA *data = NULL;
	int r = get_capability(a, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FIXED, &data, err);

	for (uint32_t i = 0; r == 0 && i < data->data.tpmProperties.count; i++)
		take_property(&data->data.tpmProperties.tpmProperty[i], &info);
	Esys_Free(data);
	if (r == 0)
		r = assay_tpm2_clock(a, &info.clock, err);
	if (r == 0)
		*ret = info;
	return r;
}

static void take_state(const TPMS_TAGGED_PROPERTY *p, struct assay_tpm_health *health)
{
	switch (p->property) {
	case TPM2_PT_PERMANENT:
		health->in_lockout = p->value & TPMA_PERMANENT_INLOCKOUT;
		health->owner_auth = p->value & TPMA_PERMANENT_OWNERAUTHSET;
		health->endorsement_auth = p->value & TPMA_PERMANENT_ENDORSEMENTAUTHSET;
		break;
	case TPM2_PT_LOCKOUT_COUNTER:
		health->lockout_counter = p->value;
		break;
	case TPM2_PT_MAX_AUTH_FAIL:
		health->lockout_max = p->value;
		break;
	default:
		break;
	}
}

/* TCG EK Credential Profile 2.5, 2.2.1.4 and 2.2.1.5: the low and the high range. */
static bool is_ek_certificate(TPM2_HANDLE index)
{
	return index == 0x01c00002 || index == 0x01c0000a ||
	       (index >= 0x01c00012 && index <= 0x01c0001c && index % 2 == 0);
}

int assay_anchor_tpm2_health(struct assay_anchor_tpm2 *a, struct assay_tpm_health *ret,
			     struct assay_err *err)
{
	struct assay_tpm_health health = { 0 };
	TPMS_CAPABILITY_DATA *state = NULL, *handles = NULL;
	int r = get_capability(a, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_VAR, &state, err);

	for (uint32_t i = 0; r == 0 && i < state->data.tpmProperties.count; i++)
		take_state(&state->data.tpmProperties.tpmProperty[i], &health);
	if (r == 0)
		r = get_capability(a, TPM2_CAP_HANDLES, 0x01c00000, &handles, err);
	for (uint32_t i = 0; r == 0 && i < handles->data.handles.count; i++)
		health.ek_certificate |= is_ek_certificate(handles->data.handles.handle[i]);
	Esys_Free(state);
	Esys_Free(handles);
	if (r == 0)
		*ret = health;
	return r;
}
